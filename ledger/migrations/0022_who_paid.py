"""Who paid, by month; and how many by day and the day on which they had paid last."""

import django.db.models.deletion
from django.db import migrations, models


# Room on its pages for the row's next version, so that a later charge writes no entry in the index.
ROOM = "ALTER TABLE ledger_payermonth SET (fillfactor = 70);"

# From the users' days that are there.
MONTHS = """
INSERT INTO ledger_payermonth (tenant_id, month, paywall_id, user_id, charged)
SELECT tenant_id, date_trunc('month', day)::date, paywall_id, user_id, SUM(charged)::bigint
FROM ledger_usageday WHERE charged > 0 GROUP BY 1, 2, 3, 4;
"""
DAYS = """
INSERT INTO ledger_payerday (tenant_id, paywall_id, day, last_paid, users)
SELECT tenant_id, paywall_id, day, last_paid, COUNT(*) FROM (
    SELECT tenant_id, paywall_id, day,
        LAG(day) OVER (PARTITION BY tenant_id, paywall_id, user_id ORDER BY day) AS last_paid
    FROM (
        SELECT DISTINCT tenant_id, NULL::uuid AS paywall_id, user_id, day FROM ledger_usageday WHERE charged > 0
        UNION ALL
        SELECT tenant_id, paywall_id, user_id, day FROM ledger_usageday
        WHERE charged > 0 AND paywall_id IS NOT NULL
    ) paid
) linked GROUP BY 1, 2, 3, 4;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0021_cheaper_writes"),
        ("paywalls", "0020_operators_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayerDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("paywall_id", models.UUIDField(null=True)),
                ("day", models.DateField()),
                ("last_paid", models.DateField(null=True)),
                ("users", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="paywalls.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "paywall_id", "day", "last_paid"),
                        name="payer_day_unique",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PayerMonth",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("month", models.DateField()),
                ("paywall_id", models.UUIDField(null=True)),
                ("user_id", models.CharField(max_length=128)),
                ("charged", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="paywalls.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "month", "paywall_id", "user_id"),
                        name="payer_month_unique",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(ROOM + MONTHS + DAYS, migrations.RunSQL.noop),
    ]
