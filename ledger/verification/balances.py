"""Balances are what transfers made of them, and transfers are whole."""

from ledger.verification.rule import Rule

RULES = [
    Rule(
        "a wallet's balance is the sum of its transfers",
        """
        SELECT a.id, COALESCE(t.total, 0), a.posted
        FROM ledger_account a
        LEFT JOIN (
            SELECT wallet_id, SUM(CASE WHEN credit_account_id = wallet_id THEN amount ELSE -amount END) AS total
            FROM ledger_transfer GROUP BY wallet_id
        ) t ON t.wallet_id = a.id
        WHERE a.kind IN ('wallet', 'earnings') AND a.posted <> COALESCE(t.total, 0)
        """,
    ),
    Rule(
        "a wallet's versions have no gap",
        """
        SELECT a.id, a.version, COALESCE(t.transfers, 0)
        FROM ledger_account a
        LEFT JOIN (
            SELECT wallet_id, COUNT(*) AS transfers, MAX(version) AS last, MIN(version) AS first
            FROM ledger_transfer GROUP BY wallet_id
        ) t ON t.wallet_id = a.id
        WHERE a.kind IN ('wallet', 'earnings') AND (
            a.version <> COALESCE(t.transfers, 0) OR a.version <> COALESCE(t.last, 0) OR COALESCE(t.first, 1) <> 1
        )
        """,
    ),
    Rule(
        "each transfer starts at the balance that the one before left",
        """
        SELECT id, before, balance_before FROM (
            SELECT id, balance_before,
                LAG(balance_after, 1, 0::bigint) OVER (PARTITION BY wallet_id ORDER BY version) AS before
            FROM ledger_transfer
        ) chained WHERE balance_before <> before
        """,
    ),
    Rule(
        "both accounts of a transfer belong to its tenant",
        """
        SELECT t.id, t.tenant_id, CASE WHEN d.tenant_id <> t.tenant_id THEN d.tenant_id ELSE c.tenant_id END
        FROM ledger_transfer t
        JOIN ledger_account d ON d.id = t.debit_account_id
        JOIN ledger_account c ON c.id = t.credit_account_id
        WHERE d.tenant_id <> t.tenant_id OR c.tenant_id <> t.tenant_id
        """,
    ),
    Rule(
        "no more of a transfer was given or taken back than it moved",
        """
        SELECT o.id, o.amount, r.total
        FROM (
            SELECT reverses_id, SUM(amount) AS total FROM ledger_transfer
            WHERE reverses_id IS NOT NULL GROUP BY reverses_id
        ) r JOIN ledger_transfer o ON o.id = r.reverses_id
        WHERE r.total > o.amount
        """,
    ),
    Rule(
        "what moves between wallets passes through",
        """
        SELECT a.id, 0, SUM(CASE WHEN t.credit_account_id = a.id THEN t.amount ELSE -t.amount END)
        FROM ledger_account a
        JOIN ledger_transfer t ON t.kind = 'transfer' AND a.id IN (t.debit_account_id, t.credit_account_id)
        WHERE a.kind = 'transit'
        GROUP BY a.id
        HAVING SUM(CASE WHEN t.credit_account_id = a.id THEN t.amount ELSE -t.amount END) <> 0
        """,
    ),
    Rule(
        "a wallet is marked low just while it is",
        """
        SELECT id, COALESCE(posted < low_balance, false), is_low FROM ledger_account
        WHERE is_low <> COALESCE(posted < low_balance, false)
        """,
    ),
]
