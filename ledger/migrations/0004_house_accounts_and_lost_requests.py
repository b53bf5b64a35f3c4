"""The house accounts of the new kinds for tenants that have books, and closed items for requests lost before."""

import uuid
from typing import Any

from django.db import migrations

KINDS = ("transit", "adjustments", "earnings", "payouts")


def make_house_accounts(apps: Any, schema_editor: Any) -> None:
    Account = apps.get_model("ledger", "Account")
    tenants = Account.objects.filter(kind="revenue").values_list("tenant_id", flat=True)
    Account.objects.bulk_create(
        (
            Account(id=uuid.uuid5(tenant_id, kind), tenant_id=tenant_id, kind=kind)
            for tenant_id in tenants.iterator()
            for kind in KINDS
        ),
        batch_size=1_000,
        ignore_conflicts=True,
    )


ITEMS = """
INSERT INTO ledger_reconciliationitem (id, hold_id, state, deadline, closed_at, note)
SELECT gen_random_uuid(), id, 'released', expires_at, now(), 'Expired before items were kept.'
FROM ledger_hold WHERE state = 'expired'
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_complete_ledger")]

    operations = [
        migrations.RunPython(make_house_accounts, migrations.RunPython.noop),
        migrations.RunSQL(ITEMS, migrations.RunSQL.noop),
    ]
