"""`manage.py seed_demo`: a history whose books sum, once, and never in production."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ledger.models import Lot, ProxyRequest, ReconciliationItem, Transfer, UsageHour, UsageIncrement
from ledger.verification import verify
from paywalls.models import Tenant
from webhooks.models import Delivery


@pytest.mark.django_db(transaction=True)
def test_a_demonstration_is_as_the_product_would_have_written_it() -> None:
    call_command("seed_demo", rows=1_500, verbosity=0)
    assert list(verify()) == []
    assert ProxyRequest.objects.count() == 1_500
    assert not UsageIncrement.objects.exists()
    charged = sum(ProxyRequest.objects.values_list("charge", flat=True))
    assert charged > 0
    assert sum(Transfer.objects.filter(kind="usage").values_list("amount", flat=True)) == charged
    assert sum(UsageHour.objects.values_list("charged", flat=True)) == charged
    assert Transfer.objects.filter(kind="deposit").count() == Lot.objects.count()
    assert Delivery.objects.filter(state="succeeded").exists()
    lost = ProxyRequest.objects.filter(status="lost").count()
    assert ReconciliationItem.objects.count() == lost
    assert all(row.pk.version == 7 for row in Transfer.objects.all()[:50])
    with pytest.raises(CommandError, match="there already"):
        call_command("seed_demo", rows=10, verbosity=0)
    assert ProxyRequest.objects.count() == 1_500


@pytest.mark.django_db
def test_it_is_refused_in_production_and_for_no_rows(settings: Any) -> None:
    with pytest.raises(CommandError, match="--rows"):
        call_command("seed_demo", rows=0, verbosity=0)
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        call_command("seed_demo", rows=10, verbosity=0)
    assert not Tenant.objects.exists()
