"""Requests to models write what they add to the roll-ups and to the counters of features, in their own transaction.

Deleting a request takes nothing back: what is forgotten was used nevertheless.
"""

from django.db import migrations

COUNT_USES = """
-- Counts uses of features: the columns of a batch, a row for each use or many. The days are those of the events (UTC);
-- one that lies ahead counts today. The rows are locked in one order, so that two batches can't deadlock.
CREATE FUNCTION ledger_count_uses(tenants uuid[], users text[], features text[], days date[], uses bigint[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger_featureusage AS c
        (id, tenant_id, user_id, feature_id, day, day_used, month_used, total_used)
    SELECT gen_random_uuid(), tenant, usr, feature, last,
        SUM(n) FILTER (WHERE day = last),
        SUM(n) FILTER (WHERE day >= date_trunc('month', last)),
        SUM(n)
    FROM (
        SELECT tenant, usr, feature, day, n, MAX(day) OVER (PARTITION BY tenant, feature, usr) AS last
        FROM (
            SELECT tenant, usr, feature, LEAST(day, (clock_timestamp() AT TIME ZONE 'UTC')::date) AS day, n
            FROM unnest(tenants, users, features, days, uses) AS given(tenant, usr, feature, day, n)
        ) past
    ) dated
    GROUP BY tenant, feature, usr, last
    ORDER BY tenant, feature, usr
    ON CONFLICT (tenant_id, feature_id, user_id) DO UPDATE SET
        day = GREATEST(c.day, excluded.day),
        day_used = CASE
            WHEN excluded.day > c.day THEN excluded.day_used
            WHEN excluded.day = c.day THEN c.day_used + excluded.day_used
            ELSE c.day_used END,
        month_used = CASE
            WHEN date_trunc('month', excluded.day) > date_trunc('month', c.day) THEN excluded.month_used
            WHEN date_trunc('month', excluded.day) = date_trunc('month', c.day)
                THEN c.month_used + excluded.month_used
            ELSE c.month_used END,
        total_used = c.total_used + excluded.total_used;
$$;
"""

# What rows add, each by its sign.
REQUESTS = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_usageincrement (tenant_id, paywall_id, user_id, hour, feature_id, provider, model, event_type,
        events, errors, blocked, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        charged, cost, uncosted)
    SELECT p.tenant_id, r.paywall_id, r.external_id, date_trunc('hour', r.created_at, 'UTC'), r.surface, r.provider,
        r.model, 'TOKEN_USAGE',
        SUM(CASE WHEN r.status <> 'blocked' THEN r.sign ELSE 0 END),
        SUM(CASE WHEN r.status IN ('failed', 'lost') THEN r.sign ELSE 0 END),
        SUM(CASE WHEN r.status = 'blocked' THEN r.sign ELSE 0 END),
        SUM(r.sign * r.input_tokens), SUM(r.sign * r.cache_read_tokens), SUM(r.sign * r.cache_write_tokens),
        SUM(r.sign * r.output_tokens), SUM(r.sign * r.charge), SUM(r.sign * COALESCE(r.cost, 0)),
        SUM(CASE WHEN r.cost IS NULL AND r.status IN ('completed', 'canceled') THEN r.sign ELSE 0 END)
    FROM ({rows}) r JOIN paywalls_paywall p ON p.id = r.paywall_id
    WHERE r.status <> 'started'
    GROUP BY 1, 2, 3, 4, 5, 6, 7;

    PERFORM ledger_count_uses(array_agg(tenant_id), array_agg(external_id), array_agg(surface), array_agg(day),
        array_agg(uses))
    FROM (
        SELECT p.tenant_id, r.external_id, r.surface, (r.created_at AT TIME ZONE 'UTC')::date AS day,
            SUM(r.sign) AS uses
        FROM ({rows}) r JOIN paywalls_paywall p ON p.id = r.paywall_id
        WHERE r.status IN ('completed', 'canceled')
        GROUP BY 1, 2, 3, 4 HAVING SUM(r.sign) > 0
    ) used HAVING COUNT(*) > 0;
    RETURN NULL;
END $$;
"""
ADDED = "SELECT 1 AS sign, n.* FROM added n"
# A row that changes takes back what it added before: one that runs for long is there as started, a lost one may be
# charged after all.
CHANGED = "SELECT 1 AS sign, n.* FROM added n UNION ALL SELECT -1, o.* FROM removed o"

FORWARD = f"""
{COUNT_USES}
{REQUESTS.format(name="ledger_requests_added", rows=ADDED)}
{REQUESTS.format(name="ledger_requests_changed", rows=CHANGED)}
CREATE TRIGGER request_used AFTER INSERT ON ledger_proxyrequest
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_requests_added();
CREATE TRIGGER request_used_otherwise AFTER UPDATE ON ledger_proxyrequest
    REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_requests_changed();
"""

BACKWARD = """
DROP TRIGGER request_used_otherwise ON ledger_proxyrequest;
DROP TRIGGER request_used ON ledger_proxyrequest;
DROP FUNCTION ledger_requests_changed();
DROP FUNCTION ledger_requests_added();
DROP FUNCTION ledger_count_uses(uuid[], text[], text[], date[], bigint[]);
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0009_stripe_clearing"), ("paywalls", "0001_initial")]

    operations = [
        migrations.RenameField("usageincrement", "at", "hour"),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
