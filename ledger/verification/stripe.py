"""Stripe: what was paid there is what was credited here."""

from ledger.verification.rule import Rule

RULES = [
    Rule(
        "what Stripe took, less what it took back, is what it credited",
        """
        SELECT a.id, COALESCE(p.total, 0), COALESCE(t.total, 0)
        FROM ledger_account a
        LEFT JOIN (
            SELECT w.tenant_id, SUM(p.credited - p.reversed) AS total
            FROM ledger_stripepayment p JOIN ledger_account w ON w.id = p.wallet_id GROUP BY w.tenant_id
        ) p ON p.tenant_id = a.tenant_id
        LEFT JOIN (
            SELECT s.id, SUM(CASE WHEN m.debit_account_id = s.id THEN m.amount ELSE -m.amount END) AS total
            FROM ledger_transfer m
            JOIN ledger_account s ON s.kind = 'stripe' AND s.id IN (m.debit_account_id, m.credit_account_id)
            GROUP BY s.id
        ) t ON t.id = a.id
        WHERE a.kind = 'stripe' AND COALESCE(p.total, 0) <> COALESCE(t.total, 0)
        """,
    ),
    Rule(
        "a payment of Stripe has one credit of just its amount",
        """
        SELECT p.object_id, p.credited, COALESCE(t.amount, 0)
        FROM ledger_stripepayment p
        LEFT JOIN ledger_transfer t ON t.source = 'stripe:' || p.object_id AND t.wallet_id = p.wallet_id
        WHERE t.amount IS DISTINCT FROM p.credited
        """,
    ),
    Rule(
        "a checkout that was paid has a payment of just its amount",
        """
        SELECT c.session_id, CASE WHEN c.state = 'done' THEN c.amount ELSE 0 END, COALESCE(p.amount, 0)
        FROM ledger_stripecheckout c LEFT JOIN ledger_stripepayment p ON p.object_id = c.session_id
        WHERE c.purpose = 'payment'
            AND CASE WHEN c.state = 'done' THEN c.amount ELSE 0 END <> COALESCE(p.amount, 0)
        """,
    ),
]
