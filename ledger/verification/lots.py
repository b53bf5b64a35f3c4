"""Lots: which credits a balance is made of."""

from ledger.verification.rule import Rule

RULES = [
    Rule(
        "what is left of a wallet's lots is its balance, or nothing in debt",
        """
        SELECT a.id, GREATEST(a.posted, 0), COALESCE(l.total, 0)
        FROM ledger_account a
        LEFT JOIN (
            SELECT account_id, SUM(remaining) AS total FROM ledger_lot GROUP BY account_id
        ) l ON l.account_id = a.id
        WHERE a.kind = 'wallet' AND GREATEST(a.posted, 0) <> COALESCE(l.total, 0)
        """,
    ),
    Rule(
        "a wallet knows the earliest expiry of its lots",
        """
        SELECT a.id, l.soonest, a.next_expiry
        FROM ledger_account a
        LEFT JOIN (
            SELECT account_id, MIN(expires_at) AS soonest FROM ledger_lot WHERE is_live GROUP BY account_id
        ) l ON l.account_id = a.id
        WHERE a.next_expiry IS DISTINCT FROM l.soonest
        """,
    ),
    Rule(
        "what a lot has left is what its transfers gave it, less what they took",
        """
        SELECT l.id, COALESCE(t.total, 0), l.remaining
        FROM ledger_lot l
        LEFT JOIN (
            SELECT (part->>0)::uuid AS lot_id, SUM((part->>1)::bigint) AS total
            FROM ledger_transfer, jsonb_array_elements(lots) part GROUP BY 1
        ) t ON t.lot_id = l.id
        WHERE l.remaining <> COALESCE(t.total, 0)
        """,
    ),
]
