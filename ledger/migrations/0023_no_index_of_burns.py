"""Transfers of reported usage leave the index of rare kinds: an entry less for each event."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("ledger", "0022_who_paid")]

    operations = [
        migrations.RemoveIndex("transfer", "transfer_kind"),
        migrations.AddIndex(
            "transfer",
            models.Index(
                fields=["kind", "id"], name="transfer_kind", condition=~Q(kind__in=["usage", "burn"])
            ),
        ),
    ]
