"""Do the books sum? Each rule is one query that answers the rows breaking it, so the proof runs in the database."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from ledger.analytics.rollups import MEASURES
from paywalls.models.paywall import WALLETS

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


# What a request or an event adds to the roll-ups, written down a second time: the triggers that add it are on trial.
_RAW = """
    SELECT p.tenant_id, date_trunc('hour', r.created_at, 'UTC') AS hour, r.external_id AS user_id,
        CASE WHEN r.status = 'blocked' THEN 0 ELSE 1 END AS events,
        CASE WHEN r.status IN ('failed', 'lost') THEN 1 ELSE 0 END AS errors,
        CASE WHEN r.status = 'blocked' THEN 1 ELSE 0 END AS blocked,
        r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.charge AS charged,
        COALESCE(r.cost, 0) AS cost,
        CASE WHEN r.cost IS NULL AND r.status IN ('completed', 'canceled') THEN 1 ELSE 0 END AS uncosted
    FROM ledger_proxyrequest r JOIN paywalls_paywall p ON p.id = r.paywall_id
    WHERE r.status <> 'started'
    UNION ALL
    SELECT e.tenant_id, date_trunc('hour', e.timestamp, 'UTC'), COALESCE(u.external_id, ''),
        1, 0, 0, e.input_tokens, e.cache_read_tokens, e.cache_write_tokens, e.output_tokens,
        CASE WHEN e.state = 'billed' THEN e.amount ELSE 0 END, COALESCE(e.cost, 0),
        CASE WHEN e.cost IS NULL THEN 1 ELSE 0 END
    FROM ledger_usageevent e LEFT JOIN paywalls_enduser u ON u.id = e.user_id
"""
_MEASURES = ", ".join(MEASURES)
_SUMS = f"ARRAY[{', '.join(f'SUM({name})::bigint' for name in MEASURES)}] AS sums"
_ZEROS = f"array_fill(0::bigint, ARRAY[{len(MEASURES)}])"
# Where raw rows have been forgotten there is nothing to compare with.
_PROVABLE = "hour > COALESCE((SELECT forgotten_until FROM ledger_rawhorizon), '-infinity')"
_DAY = "(hour AT TIME ZONE 'UTC')::date"

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
            SELECT account_id, MIN(expires_at) AS soonest FROM ledger_lot WHERE is_live GROUP BY account_id
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
        "what was spent on a model in a day is what was held or charged for it",
        """
        SELECT s.id, COALESCE(h.total, 0), s.day_used
        FROM ledger_modelspend s
        LEFT JOIN (
            SELECT model_spend_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE model_spend_id IS NOT NULL GROUP BY model_spend_id, counted_on
        ) h ON h.model_spend_id = s.id AND h.counted_on = s.window_day
        WHERE s.day_used <> COALESCE(h.total, 0)
        """,
    ),
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
    Rule(
        "a connection's day is what was held or charged through it",
        """
        SELECT c.id, COALESCE(h.total, 0) + COALESCE(t.total, 0), c.day_used
        FROM paywalls_connection c
        LEFT JOIN (
            SELECT connection_id, counted_on, SUM(CASE state WHEN 'open' THEN amount ELSE captured END) AS total
            FROM ledger_hold WHERE connection_id IS NOT NULL GROUP BY connection_id, counted_on
        ) h ON h.connection_id = c.id AND h.counted_on = c.window_day
        LEFT JOIN (
            SELECT s.connection_id, (s.created_at AT TIME ZONE 'UTC')::date AS day, SUM(s.amount) AS total
            FROM ledger_split s JOIN ledger_transfer t ON t.id = s.transfer_id
            WHERE t.kind = 'charge' AND NOT EXISTS (SELECT 1 FROM ledger_hold WHERE id = t.request_id)
            GROUP BY 1, 2
        ) t ON t.connection_id = c.id AND t.day = c.window_day
        WHERE c.window_day IS NOT NULL AND c.day_used <> COALESCE(h.total, 0) + COALESCE(t.total, 0)
        """,
    ),
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
    Rule(
        "a wallet is marked low just while it is",
        """
        SELECT id, COALESCE(posted < low_balance, false), is_low FROM ledger_account
        WHERE is_low <> COALESCE(posted < low_balance, false)
        """,
    ),
    Rule(
        "roll-ups and increments are the raw rows, hour by hour",
        f"""
        WITH raw AS (
            SELECT tenant_id, hour, {_SUMS} FROM ({_RAW}) rows WHERE {_PROVABLE} GROUP BY 1, 2
        ), summed AS (
            SELECT tenant_id, hour, {_SUMS} FROM (
                SELECT tenant_id, hour, {_MEASURES} FROM ledger_usagehour
                UNION ALL SELECT tenant_id, hour, {_MEASURES} FROM ledger_usageincrement
            ) rows WHERE {_PROVABLE} GROUP BY 1, 2
        )
        SELECT concat_ws(' ', tenant_id, hour), raw.sums, summed.sums
        FROM raw FULL JOIN summed USING (tenant_id, hour)
        WHERE COALESCE(raw.sums, {_ZEROS}) <> COALESCE(summed.sums, {_ZEROS})
        """,  # noqa: S608
    ),
    Rule(
        "users' roll-ups and increments are the raw rows, day by day",
        f"""
        WITH raw AS (
            SELECT tenant_id, {_DAY} AS day, user_id, {_SUMS} FROM ({_RAW}) rows WHERE user_id <> ''
            GROUP BY 1, 2, 3
        ), summed AS (
            SELECT tenant_id, day, user_id, {_SUMS} FROM (
                SELECT tenant_id, day, user_id, {_MEASURES} FROM ledger_usageday
                UNION ALL
                SELECT tenant_id, {_DAY}, user_id, {_MEASURES} FROM ledger_usageincrement WHERE user_id <> ''
            ) rows GROUP BY 1, 2, 3
        )
        SELECT concat_ws(' ', tenant_id, day, user_id), raw.sums, summed.sums
        FROM raw FULL JOIN summed USING (tenant_id, day, user_id)
        WHERE day > COALESCE((SELECT forgotten_until AT TIME ZONE 'UTC' FROM ledger_rawhorizon), '-infinity')
            AND COALESCE(raw.sums, {_ZEROS}) <> COALESCE(summed.sums, {_ZEROS})
        """,  # noqa: S608
    ),
    Rule(
        "what users paid in a month is the sum of their days",
        """
        SELECT concat_ws(' ', tenant_id, month, paywall_id, user_id), SUM(expected), SUM(found) FROM (
            SELECT tenant_id, date_trunc('month', day)::date AS month, paywall_id, user_id,
                charged AS expected, 0 AS found
            FROM ledger_usageday
            UNION ALL SELECT tenant_id, month, paywall_id, user_id, 0, charged FROM ledger_payermonth
        ) rows GROUP BY tenant_id, month, paywall_id, user_id HAVING SUM(expected) <> SUM(found)
        """,
    ),
    Rule(
        "how many users paid on a day, and on which they had paid last, is what their days say",
        """
        SELECT concat_ws(' ', tenant_id, paywall_id, day, 'after', last_paid), SUM(expected), SUM(found) FROM (
            SELECT tenant_id, paywall_id, day,
                LAG(day) OVER (PARTITION BY tenant_id, paywall_id, user_id ORDER BY day) AS last_paid,
                1 AS expected, 0 AS found
            FROM (
                SELECT DISTINCT tenant_id, NULL::uuid AS paywall_id, user_id, day FROM ledger_usageday
                WHERE charged > 0
                UNION ALL
                SELECT tenant_id, paywall_id, user_id, day FROM ledger_usageday
                WHERE charged > 0 AND paywall_id IS NOT NULL
            ) paid
            UNION ALL SELECT tenant_id, paywall_id, day, last_paid, 0, users FROM ledger_payerday
        ) rows GROUP BY tenant_id, paywall_id, day, last_paid HAVING SUM(expected) <> SUM(found)
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
