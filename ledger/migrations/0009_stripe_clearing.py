"""The clearing account of Stripe for tenants that have books."""

import uuid
from typing import Any

from django.db import migrations


def make_clearing_accounts(apps: Any, schema_editor: Any) -> None:
    Account = apps.get_model("ledger", "Account")
    tenants = Account.objects.filter(kind="revenue").values_list("tenant_id", flat=True)
    Account.objects.bulk_create(
        (
            Account(id=uuid.uuid5(tenant_id, "stripe"), tenant_id=tenant_id, kind="stripe")
            for tenant_id in tenants.iterator()
        ),
        batch_size=1_000,
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_stripe")]

    operations = [migrations.RunPython(make_clearing_accounts, migrations.RunPython.noop)]
