"""Reported events write what they add to the roll-ups and to the counters of features, in their own transaction.

What is forgotten of requests and events was used nevertheless: it only moves the horizon of the proof.
"""

from django.db import migrations, models

# What rows add, each by its sign. A use that `consume` has counted under the event's id or key isn't counted again.
EVENTS = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_usageincrement (tenant_id, paywall_id, user_id, hour, feature_id, provider, model, event_type,
        events, errors, blocked, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        charged, cost, uncosted)
    SELECT r.tenant_id, home.id, COALESCE(u.external_id, ''), date_trunc('hour', r.timestamp, 'UTC'), r.feature_id,
        r.provider, r.model, r.event_type,
        SUM(r.sign), 0, 0,
        SUM(r.sign * r.input_tokens), SUM(r.sign * r.cache_read_tokens), SUM(r.sign * r.cache_write_tokens),
        SUM(r.sign * r.output_tokens), SUM(CASE WHEN r.state = 'billed' THEN r.sign * r.amount ELSE 0 END),
        SUM(r.sign * COALESCE(r.cost, 0)), SUM(CASE WHEN r.cost IS NULL THEN r.sign ELSE 0 END)
    FROM ({rows}) r
    LEFT JOIN paywalls_enduser u ON u.id = r.user_id
    LEFT JOIN paywalls_paywall home ON home.tenant_id = r.tenant_id AND home.is_home
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
    {counted}
    RETURN NULL;
END $$;
"""
COUNTED = """
    PERFORM ledger_count_uses(array_agg(tenant_id), array_agg(external_id), array_agg(feature_id), array_agg(day),
        array_agg(uses))
    FROM (
        SELECT r.tenant_id, u.external_id, r.feature_id, (r.timestamp AT TIME ZONE 'UTC')::date AS day,
            COUNT(*) AS uses
        FROM added r JOIN paywalls_enduser u ON u.id = r.user_id
        WHERE NOT EXISTS (
            SELECT FROM ledger_featureuse used
            WHERE used.tenant_id = r.tenant_id AND used.feature_id = r.feature_id
                AND used.key IN (r.event_id::text, r.idempotency_key)
        )
        GROUP BY 1, 2, 3, 4
    ) used HAVING COUNT(*) > 0;
"""
ADDED = "SELECT 1 AS sign, n.* FROM added n"
# An event that changes takes back what it added before: an unbilled one may be billed later. It is no further use.
CHANGED = "SELECT 1 AS sign, n.* FROM added n UNION ALL SELECT -1, o.* FROM removed o"

FORWARD = f"""
{EVENTS.format(name="ledger_events_added", rows=ADDED, counted=COUNTED)}
{EVENTS.format(name="ledger_events_changed", rows=CHANGED, counted="")}
CREATE TRIGGER event_used AFTER INSERT ON ledger_usageevent
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_events_added();
CREATE TRIGGER event_used_otherwise AFTER UPDATE ON ledger_usageevent
    REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_events_changed();
"""

HORIZON = """
CREATE FUNCTION ledger_raw_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('
        INSERT INTO ledger_rawhorizon AS h (id, forgotten_until)
        SELECT 1, MAX(%I) FROM removed HAVING COUNT(*) > 0
        ON CONFLICT (id) DO UPDATE SET forgotten_until = GREATEST(h.forgotten_until, excluded.forgotten_until)
    ', TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER request_forgotten AFTER DELETE ON ledger_proxyrequest
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION ledger_raw_forgotten('created_at');
CREATE TRIGGER event_forgotten AFTER DELETE ON ledger_usageevent
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION ledger_raw_forgotten('timestamp');
"""

BACKWARD = """
DROP TRIGGER event_forgotten ON ledger_usageevent;
DROP TRIGGER request_forgotten ON ledger_proxyrequest;
DROP FUNCTION ledger_raw_forgotten();
DROP TRIGGER event_used_otherwise ON ledger_usageevent;
DROP TRIGGER event_used ON ledger_usageevent;
DROP FUNCTION ledger_events_changed();
DROP FUNCTION ledger_events_added();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0012_shared_wallets"),
        ("paywalls", "0011_home_paywalls"),
    ]

    operations = [
        migrations.CreateModel(
            name="RawHorizon",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("forgotten_until", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="raw_horizon_is_one")
                ],
            },
        ),
        migrations.RunSQL(FORWARD + HORIZON, BACKWARD),
    ]
