"""Tenants that were here before get their first paywall as their home."""

from django.db import migrations

FORWARD = """
UPDATE paywalls_paywall SET is_home = true
WHERE mode = 'default' AND id IN (
    SELECT DISTINCT ON (tenant_id) id FROM paywalls_paywall WHERE mode = 'default' ORDER BY tenant_id, id
)
"""


class Migration(migrations.Migration):
    dependencies = [("paywalls", "0010_tenants_of_the_metering_api")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
