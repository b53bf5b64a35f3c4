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
        WHERE a.kind = 'wallet' AND a.posted <> COALESCE(t.total, 0)
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
        WHERE a.kind = 'wallet' AND (
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
            FROM ledger_transfer WHERE kind = 'usage' GROUP BY request_id
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
]


def verify() -> Iterator[Fault]:
    """Every fault in the books, at most `EXAMPLES` for each rule.

    All rules look at one snapshot, so that money that moves meanwhile is no fault. Not inside a transaction.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for rule in RULES:
            cursor.execute(f"{rule.sql} LIMIT {EXAMPLES}")
            for what, expected, found in cursor.fetchall():
                yield Fault(rule.name, str(what), str(expected), str(found))
