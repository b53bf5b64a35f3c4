"""Roll-ups: what was used, summed as it is committed.

There is no cursor over the raw rows that a late commit could fall behind. The transaction that writes an event or a
request also writes what they add, as increments (by triggers, so that no writer can forget it); a roll-up takes
increments away and adds them to hours and days, in one transaction. An increment is in the queue or in the roll-ups,
never in both and never in neither, whatever commits when. Whoever reads sums both in one statement, and so is exact at
once without a look at a raw row.

The counters of features (`ledger/entitlements/`) get their uses by the same way.
"""

from django.db import connection, transaction

from ledger.analytics import payerdays

# Increments that one transaction takes: its locks stay short.
MAX_INCREMENTS = 50_000

# After so many the queue is vacuumed: whoever sums it would step over each increment that was taken away.
VACUUM_AT = 10_000

# One roll-up at a time, so that two can't wait for each other's rows.
_LOCK = (0x746F6C6C, 1)

MEASURES = (
    "events",
    "errors",
    "blocked",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "charged",
    "cost",
    "uncosted",
)

_HOUR = ("tenant_id", "hour", "paywall_id", "feature_id", "provider", "model", "event_type")
_DAY = ("tenant_id", "day", "paywall_id", "user_id")


def _add(table: str, key: tuple[str, ...], source: str) -> str:
    sums = ", ".join(f"SUM({name})::bigint" for name in MEASURES)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MEASURES)
    return f"""
        INSERT INTO {table} ({", ".join(key)}, {", ".join(MEASURES)})
        SELECT {", ".join(key)}, {sums} FROM {source} GROUP BY {", ".join(key)}
        ON CONFLICT ({", ".join(key)}) DO UPDATE SET {added}
    """  # noqa: S608  (names of ours)


# Up to an id, and not those of a list: joined with a list, a queue that grew faster than its statistics was planned as
# one look at all of it for each increment (four minutes, and not done, with 240,000 waiting).
_ROLL_UP = f"""
    WITH taken AS (
        DELETE FROM ledger_usageincrement
        WHERE id <= (SELECT MAX(id) FROM (SELECT id FROM ledger_usageincrement ORDER BY id LIMIT %s) oldest)
        RETURNING *, (hour AT TIME ZONE 'UTC')::date AS day
    ), named AS (
        SELECT * FROM taken WHERE user_id <> ''
    ), hours AS ({_add("ledger_usagehour", _HOUR, "taken")}), days AS ({_add("ledger_usageday", _DAY, "named")}),
    charged AS MATERIALIZED ({payerdays.CHARGED}), payer_months AS ({payerdays.MONTHS}),
    chained AS MATERIALIZED ({payerdays.CHAINED}), payer_days AS ({payerdays.DAYS}),
    uses AS (
        SELECT tenant_id, user_id, feature_id, used_on, SUM(uses)::bigint AS uses FROM named
        WHERE uses <> 0 GROUP BY 1, 2, 3, 4 HAVING SUM(uses) > 0
    ), counted AS (
        SELECT ledger_count_uses(array_agg(tenant_id), array_agg(user_id::text), array_agg(feature_id::text),
            array_agg(used_on), array_agg(uses))
        FROM uses HAVING COUNT(*) > 0
    )
    SELECT COUNT(*), (SELECT COUNT(*) FROM counted) FROM taken
"""  # noqa: S608


def roll_up(limit: int = MAX_INCREMENTS) -> int:
    """Add the oldest increments to the roll-ups; how many there were. 0 also while another roll-up is under way."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
        [(free,)] = cursor.fetchall()
        if not free:
            return 0
        cursor.execute(_ROLL_UP, [limit])
        [(taken, _)] = cursor.fetchall()
        return int(taken)


def roll_up_all() -> int:
    """Add all increments that wait, in several transactions; how many there were. Not inside a transaction."""
    total = 0
    while taken := roll_up():
        total += taken
    if total >= VACUUM_AT:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ledger_usageincrement")
    return total
