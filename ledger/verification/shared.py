"""Shared wallets: who got what of a charge, and what was paid out."""

from ledger.verification.rule import Rule
from paywalls.models.paywall import WALLETS

RULES = [
    Rule(
        "a charge or refund of a shared wallet is shared out to the nano",
        f"""
        SELECT t.id, t.amount, COALESCE(abs(s.amount), 0)
        FROM ledger_transfer t
        JOIN ledger_account a ON a.id = t.wallet_id
        JOIN paywalls_enduser u ON u.id = a.user_id
        LEFT JOIN ledger_split s ON s.transfer_id = t.id
        WHERE u.paywall_id = '{WALLETS}' AND t.kind IN ('usage', 'charge', 'refund')
            AND s.amount IS DISTINCT FROM CASE WHEN t.kind = 'refund' THEN -t.amount ELSE t.amount END
        """,  # noqa: S608
    ),
    Rule(
        "a settlement credits the sum of its splits",
        """
        SELECT s.id, COALESCE(p.total, 0), COALESCE(t.balance_after - t.balance_before, 0)
        FROM ledger_settlement s
        LEFT JOIN (
            SELECT settlement_id, SUM(earned) AS total FROM ledger_split
            WHERE settlement_id IS NOT NULL GROUP BY settlement_id
        ) p ON p.settlement_id = s.id
        LEFT JOIN ledger_transfer t ON t.source = 'settlement:' || replace(s.id::text, '-', '')
        WHERE s.amount <> COALESCE(p.total, 0) OR s.amount <> COALESCE(t.balance_after - t.balance_before, 0)
        """,
    ),
    Rule(
        "a withdrawal has left the earnings, but for one that was refused",
        """
        SELECT w.id, CASE WHEN w.state = 'refused' THEN 0 ELSE w.amount END, COALESCE(t.total, 0)
        FROM ledger_withdrawal w
        LEFT JOIN LATERAL (
            SELECT SUM(balance_before - balance_after) AS total FROM ledger_transfer
            WHERE source IN (
                'withdrawal:' || replace(w.id::text, '-', ''),
                'withdrawal:' || replace(w.id::text, '-', '') || ':refused'
            )
        ) t ON true
        WHERE COALESCE(t.total, 0) <> CASE WHEN w.state = 'refused' THEN 0 ELSE w.amount END
        """,
    ),
]
