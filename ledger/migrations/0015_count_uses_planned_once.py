"""Uses are counted by a function whose plan is kept: in SQL it was planned anew for each batch of requests."""

from django.db import migrations

COUNT = """
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
"""
HEAD = """
CREATE OR REPLACE FUNCTION ledger_count_uses(
    tenants uuid[], users text[], features text[], days date[], uses bigint[]
) RETURNS void
"""

FORWARD = f"""
{HEAD} LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN {COUNT} END $$;
"""
BACKWARD = f"{HEAD} LANGUAGE sql AS $$ {COUNT} $$;"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0014_stripe_events_read")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
