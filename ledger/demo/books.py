"""The demonstration's money. The one place beside `ledger/statements.py` that writes the books.

Posting can't write a history: its clock is the database's, now. So this inserts what posting would have written at the
time, into wallets that it makes itself, and `verify_ledger` proves it like all else. It reads the temporary tables of
`history.py`. Amounts are nano-dollars.

A user tops up `size` whenever a charge needs more than is there. So a wallet's credits lie one behind the other:
credit j covers what is spent between j * size and (j + 1) * size, and a charge burns one credit or two.
"""

# What each charge burns, and when each credit was bought: just before the first charge that needs it.
SPENDING = """
CREATE TEMP TABLE demo_charge ON COMMIT DROP AS
    SELECT *, (spent - charge) / size AS first_credit, (spent - 1) / size AS last_credit
    FROM (
        SELECT r.n, r.id, r.at, r.user_n, r.model_id, r.input_tokens, r.output_tokens, r.charge, u.account_id, u.size,
            SUM(r.charge) OVER (PARTITION BY r.user_n ORDER BY r.at, r.n)::bigint AS spent
        FROM demo_request r JOIN demo_user u ON u.n = r.user_n WHERE r.charge > 0
    ) running;
CREATE TEMP TABLE demo_credit ON COMMIT DROP AS
    SELECT user_n, last_credit AS j, MIN(account_id::text)::uuid AS account_id, MIN(size) AS size,
        MIN(at) - interval '2 minutes' AS at, pg_temp.key_at(MIN(at) - interval '2 minutes') AS lot_id
    FROM demo_charge GROUP BY user_n, last_credit;
CREATE UNIQUE INDEX ON demo_credit (user_n, j);
ANALYZE demo_charge, demo_credit;
"""

WALLETS = """
INSERT INTO ledger_account (id, created_at, tenant_id, kind, user_id, posted, held, version)
    SELECT u.account_id, u.at, %(tenant)s, 'wallet', u.id,
        COALESCE(b.bought, 0) - COALESCE(s.spent, 0), 0, COALESCE(b.credits, 0) + COALESCE(s.charges, 0)
    FROM demo_user u
    LEFT JOIN (SELECT user_n, SUM(size) AS bought, COUNT(*) AS credits FROM demo_credit GROUP BY user_n) b
        ON b.user_n = u.n
    LEFT JOIN (SELECT user_n, SUM(charge) AS spent, COUNT(*) AS charges FROM demo_charge GROUP BY user_n) s
        ON s.user_n = u.n;
INSERT INTO ledger_lot (id, created_at, account_id, kind, amount, remaining)
    SELECT c.lot_id, c.at, c.account_id, 'paid', c.size, c.size - LEAST(c.size, s.spent - c.size * c.j)
    FROM demo_credit c JOIN (SELECT user_n, SUM(charge)::bigint AS spent FROM demo_charge GROUP BY user_n) s
        ON s.user_n = c.user_n;
"""

HOLDS = """
INSERT INTO ledger_hold (id, created_at, account_id, amount, state, captured, kind, about, expires_at, counted_on)
    SELECT r.id, r.at, u.account_id, r.worth * 3,
        CASE r.status WHEN 'failed' THEN 'released' WHEN 'lost' THEN 'expired' ELSE 'captured' END, r.charge, 'request',
        jsonb_build_object('paywall', u.paywall_id, 'user', u.external_id, 'model', r.model_id, 'surface', 'chat',
            'streamed', r.streamed),
        r.at + interval '660 seconds', (r.at AT TIME ZONE 'UTC')::date
    FROM demo_request r JOIN demo_user u ON u.n = r.user_n WHERE r.status <> 'blocked' ORDER BY r.id;
INSERT INTO ledger_reconciliationitem (id, created_at, hold_id, state, deadline, closed_at, closed_by, note)
    SELECT pg_temp.key_at(lost), lost, id, CASE WHEN deadline > now() THEN 'open' ELSE 'released' END, deadline,
        CASE WHEN deadline > now() THEN NULL ELSE deadline END, '',
        CASE WHEN deadline > now() THEN '' ELSE 'Nothing was known at the deadline.' END
    FROM (
        SELECT id, at + interval '660 seconds' AS lost, at + interval '72 hours' AS deadline
        FROM demo_request WHERE status = 'lost'
    ) items;
"""

# Credits come before the charge that they were bought for.
TRANSFERS = """
INSERT INTO ledger_transfer (id, created_at, tenant_id, kind, source, debit_account_id, credit_account_id, amount,
        wallet_id, balance_before, balance_after, version, request_id, lots, metadata)
    SELECT id, at, %(tenant)s, kind, source, CASE kind WHEN 'usage' THEN account_id ELSE %(deposits)s::uuid END,
        CASE kind WHEN 'usage' THEN %(revenue)s::uuid ELSE account_id END, ABS(change), account_id,
        after - change, after, version, request_id, lots, metadata
    FROM (
        SELECT *, SUM(change) OVER wallet AS after, ROW_NUMBER() OVER wallet AS version
        FROM (
            SELECT pg_temp.key_at(c.at) AS id, c.at, c.at + interval '2 minutes' AS due, 0 AS n, c.account_id,
                'deposit' AS kind, 'demo:' || c.lot_id AS source, c.size AS change, NULL::uuid AS request_id,
                jsonb_build_array(jsonb_build_array(c.lot_id, c.size)) AS lots, '{}'::jsonb AS metadata
            FROM demo_credit c
            UNION ALL
            SELECT pg_temp.key_at(s.at + interval '1 second'), s.at + interval '1 second', s.at, s.n, s.account_id,
                'usage', 'usage:' || replace(s.id::text, '-', ''), -s.charge, s.id,
                CASE WHEN s.first_credit = s.last_credit
                THEN jsonb_build_array(jsonb_build_array(l.lot_id, -s.charge))
                ELSE jsonb_build_array(
                    jsonb_build_array(f.lot_id, s.spent - s.charge - s.size * s.last_credit),
                    jsonb_build_array(l.lot_id, s.size * s.last_credit - s.spent)) END,
                jsonb_build_object('model', s.model_id, 'estimated', false, 'price', jsonb_build_object(
                    'prompt_tokens', s.input_tokens, 'completion_tokens', s.output_tokens))
            FROM demo_charge s
            JOIN demo_credit l ON l.user_n = s.user_n AND l.j = s.last_credit
            JOIN demo_credit f ON f.user_n = s.user_n AND f.j = s.first_credit
        ) movements WINDOW wallet AS (PARTITION BY account_id ORDER BY due, n)
    ) chained ORDER BY id;
"""

STATEMENTS = (SPENDING, WALLETS, HOLDS, TRANSFERS)
