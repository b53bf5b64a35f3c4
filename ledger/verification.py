"""Do the books sum? Each rule is one query that answers the rows breaking it, so the proof runs in the database."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

# As many examples of one fault as are worth reading.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """`sql` answers (what, expected, found) for every row that breaks the rule."""

    name: str
    sql: str

    @property
    def statement(self) -> str:
        """The query for the first examples.

        The limit stands outside: the planner must not hope to find them early, since in sound books there are none.
        """
        return f"WITH broken AS MATERIALIZED ({self.sql}) SELECT * FROM broken LIMIT {EXAMPLES}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that breaks a rule."""

    rule: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}: expected {self.expected}, found {self.found}"


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
            SELECT account_id, MIN(expires_at) AS soonest FROM ledger_lot WHERE remaining > 0 GROUP BY account_id
        ) l ON l.account_id = a.id
        WHERE a.next_expiry IS DISTINCT FROM l.soonest
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
        "a request that was lost has a reconciliation item, charged just where its hold is",
        """
        SELECT h.id, CASE WHEN h.state = 'captured' THEN 'charged' ELSE 'open or released' END,
            COALESCE(i.state, 'none')
        FROM ledger_hold h LEFT JOIN ledger_reconciliationitem i ON i.hold_id = h.id
        WHERE (h.kind = 'request' AND h.state = 'expired' AND i.id IS NULL)
            OR (i.id IS NOT NULL AND (i.state = 'charged') <> (h.state = 'captured'))
        """,
    ),
    Rule(
        "a wallet's day is what was held or charged on it",
        """
        SELECT a.id, COALESCE(h.total, 0) + COALESCE(t.total, 0), a.day_used
        FROM ledger_account a
        LEFT JOIN (
            SELECT account_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE counted_on IS NOT NULL GROUP BY account_id, counted_on
        ) h ON h.account_id = a.id AND h.counted_on = a.window_day
        LEFT JOIN (
            SELECT t.wallet_id, (t.created_at AT TIME ZONE 'UTC')::date AS day, SUM(t.amount) AS total
            FROM ledger_transfer t
            WHERE t.kind = 'charge' AND NOT EXISTS (SELECT 1 FROM ledger_hold WHERE id = t.request_id)
            GROUP BY 1, 2
        ) t ON t.wallet_id = a.id AND t.day = a.window_day
        WHERE a.window_day IS NOT NULL AND a.day_used <> COALESCE(h.total, 0) + COALESCE(t.total, 0)
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


def verify() -> Iterator[Fault]:
    """Every fault in the books, at most `EXAMPLES` for each rule.

    All rules look at one snapshot, so that money that moves meanwhile is no fault. Not inside a transaction.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for rule in RULES:
            cursor.execute(rule.statement)
            for what, expected, found in cursor.fetchall():
                yield Fault(rule.name, str(what), str(expected), str(found))
