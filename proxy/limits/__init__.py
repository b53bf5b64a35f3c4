"""Counting what end users ask for, against the limits that `paywalls/limits.py` reads.

`windows` says how a minute is counted, `allowance` is one request's part. `counters` counts for all processes in Redis
(`redis_counters`), or for this one (`memory_counters`), on the storages of the library `limits`. Spend limits are the
ledger's (`ledger/windows.py`).
"""
