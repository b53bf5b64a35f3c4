"""Holds: what they keep back, and what was charged for them."""

from ledger.verification.rule import Rule

RULES = [
    Rule(
        "what a wallet holds is the sum of its open holds",
        """
        SELECT a.id, COALESCE(h.total, 0), a.held
        FROM ledger_account a
        LEFT JOIN (
            SELECT account_id, SUM(amount) AS total FROM ledger_hold WHERE state = 'open' GROUP BY account_id
        ) h ON h.account_id = a.id
        WHERE a.held <> COALESCE(h.total, 0)
        """,
    ),
    Rule(
        "a captured hold has one transfer of just its amount",
        """
        SELECT h.id, h.captured, COALESCE(t.total, 0)
        FROM ledger_hold h
        LEFT JOIN (
            SELECT request_id, SUM(amount) AS total, COUNT(*) AS transfers
            FROM ledger_transfer WHERE request_id IS NOT NULL GROUP BY request_id
        ) t ON t.request_id = h.id
        WHERE h.captured <> COALESCE(t.total, 0) OR COALESCE(t.transfers, 0) > 1
        """,
    ),
    Rule(
        "every usage charge belongs to a captured hold",
        """
        SELECT t.id, 'a captured hold', COALESCE(h.state, 'none')
        FROM ledger_transfer t LEFT JOIN ledger_hold h ON h.id = t.request_id
        WHERE t.kind = 'usage' AND h.state IS DISTINCT FROM 'captured'
        """,
    ),
    Rule(
        "a request that was lost has a reconciliation item, charged just where its hold is",
        """
        SELECT h.id, CASE WHEN h.state = 'captured' THEN 'charged' ELSE 'open or released' END,
            COALESCE(i.state, 'none')
        FROM ledger_hold h LEFT JOIN ledger_reconciliationitem i ON i.hold_id = h.id
        WHERE (h.kind = 'request' AND h.state = 'expired' AND i.id IS NULL)
            OR (i.id IS NOT NULL AND (i.state = 'charged') <> (h.state = 'captured'))
        """,
    ),
]
