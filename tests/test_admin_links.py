"""From a charge to its request, its events and their deliveries, and back; and from one stretch of days to the next."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localdate

from config import ids
from config.admin.columns import page_of
from config.money import NANO
from ledger import services as ledger
from ledger.models import Transfer
from ledger.operations import Capture, PlaceHold
from ledger.posting import post_one
from paywalls.models import EndUser
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.test_admin import page
from webhooks import services as webhooks
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def charge() -> Transfer:
    """What a request cost, told to an endpoint."""
    paywall = make_paywall()
    webhooks.create(paywall.pk, url="https://example.com/hook", events=["*"])
    user = UserRef(paywall.pk, "alice")
    ledger.deposit(user, NANO, source="start")
    wallet = EndUser.objects.get(external_id="alice").wallet
    key = ids.new()
    post_one(PlaceHold(wallet=wallet.pk, hold_id=key, amount=NANO // 2, seconds=60))
    post_one(Capture(wallet=wallet.pk, hold_id=key, amount=NANO // 4, source=f"usage:{key.hex}"))
    return Transfer.objects.get(request_id=key)


def links(browser: Client, address: str) -> list[str]:
    """Where a page leads; without what a list gives along to lead back to itself."""
    found = re.findall(r'href="([^"]+)"', browser.get(address).content.decode().replace("&amp;", "&"))
    return [address.partition("?_changelist_filters")[0] for address in found]


def test_a_charge_leads_to_its_events_and_deliveries_and_they_lead_back(
    root: Client, charge: Transfer
) -> None:
    name = ids.public("request", charge.request_id)
    [event] = Event.objects.filter(request_id=charge.request_id)
    [delivery] = Delivery.objects.filter(event=event)
    events, deliveries = (f"{page(model, 'changelist')}?q={name}" for model in (Event, Delivery))
    assert {events, deliveries} <= set(links(root, page_of(charge)))
    assert page_of(event) in links(root, events)
    assert page_of(delivery) in links(root, deliveries)
    back = f"{page(Transfer, 'changelist')}?q={name}"
    assert back in links(root, page_of(event))
    assert back in links(root, page_of(delivery))
    assert page_of(charge) in links(root, back)


def test_an_event_about_no_request_says_none(charge: Transfer) -> None:
    assert set(Event.objects.exclude(request_id=charge.request_id).values_list("request_id")) == {(None,)}


def test_a_list_leads_to_today_and_weeks_and_from_a_stretch_to_the_next(
    root: Client, charge: Transfer
) -> None:
    today = localdate()
    address = page(Transfer, "changelist")
    shown = root.get(address, {"kind__exact": "usage"})
    titles = [period.title for period in shown.context["cl"].periods]
    assert titles == ["All", "Today", "7 days", "30 days"]
    week = next(one for one in shown.context["cl"].periods if one.title == "7 days")
    assert "kind__exact=usage" in week.address
    assert f"created_at_to={today}" in week.address
    first, last = date(2026, 1, 8), date(2026, 1, 14)
    chosen = root.get(address, {"created_at_from": first, "created_at_to": last}).context["cl"]
    steps = {one.step: one.title for one in chosen.periods if one.step}
    assert steps == {"earlier": "2026-01-01 to 2026-01-07", "later": "2026-01-15 to 2026-01-21"}
    assert chosen.result_count == 0
    of_today = {"created_at_from": today, "created_at_to": today + timedelta(days=1)}
    assert root.get(address, of_today).context["cl"].result_count == Transfer.objects.count()


def test_an_address_does_not_sort_a_list_that_only_the_product_writes(root: Client, charge: Transfer) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert root.get(page(Transfer, "changelist"), {"o": "6"}).status_code == 200
    orders: list[Any] = [
        re.search(r"ORDER BY (\"ledger_transfer.*?)(?: LIMIT|$)", one["sql"]) for one in captured
    ]
    assert [found[1] for found in orders if found] == ['"ledger_transfer"."id" DESC']
