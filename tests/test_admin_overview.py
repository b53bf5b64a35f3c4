"""The operators' first page: what is to do, the figures, and whose they are."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.money import NANO
from ledger.alerts import raise_alert
from ledger.analytics import overview, queries
from ledger.analytics.payers import payers
from ledger.analytics.queries import Selection, Sums
from ledger.analytics.rollups import roll_up_all
from ledger.models import OperatorAlert, ProxyRequest
from paywalls.models import Paywall
from tests.factories import make_model, make_paywall, make_provider

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


def ask(paywall: Paywall, user: str, at: datetime, charge: int, **facts: Any) -> ProxyRequest:
    """A request of the past."""
    known = {
        "model": "gpt",
        "provider": "openai",
        "surface": "chat",
        "status": "completed",
        "cost": charge // 2,
    }
    return ProxyRequest.objects.create(
        paywall=paywall, external_id=user, created_at=at, charge=charge, **{**known, **facts}
    )


def first_page(client: Client, **query: Any) -> str:
    response = client.get(reverse("admin:index"), query)
    assert response.status_code == 200
    return unescape(response.content.decode())


def payers_part(client: Client, page: str) -> str:
    [address] = re.findall(r'hx-get="([^"]*/payers/[^"]*)"', page)
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


# --- Periods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "since", "before", "bucket"),
    [
        (date(2026, 3, 10), date(2026, 3, 10), "03-10 00 to 03-10 15", "03-09 00 to 03-09 15", "hour"),
        (date(2026, 3, 4), date(2026, 3, 10), "03-04 00 to 03-10 15", "02-25 00 to 03-03 15", "day"),
        (date(2026, 2, 1), date(2026, 2, 28), "02-01 00 to 03-01 00", "01-04 00 to 02-01 00", "day"),
        (date(2026, 3, 9), date(2027, 1, 1), "03-09 00 to 03-10 15", "03-07 00 to 03-08 15", "hour"),
        (date(2026, 5, 1), date(2026, 4, 1), "03-10 00 to 03-10 15", "03-09 00 to 03-09 15", "hour"),
        (date(2025, 9, 1), date(2026, 3, 10), "09-01 00 to 03-10 15", "02-22 00 to 08-31 15", "week"),
    ],
)
def test_a_period_stands_beside_the_one_before(
    first: date, last: date, since: str, before: str, bucket: str
) -> None:
    asked = overview.period(first, last, NOW)
    assert f"{asked.since:%m-%d %H} to {asked.until:%m-%d %H}" == since
    assert "{:%m-%d %H} to {:%m-%d %H}".format(*asked.before) == before
    assert asked.bucket == bucket


def test_every_bucket_of_a_period_is_there() -> None:
    def starts(first: date, last: date) -> list[datetime]:
        return list(overview.period(first, last, NOW).starts())

    assert len(starts(date(2026, 3, 10), date(2026, 3, 10))) == 15
    assert len(starts(date(2026, 3, 4), date(2026, 3, 10))) == 7
    assert {day.weekday() for day in starts(date(2025, 9, 1), date(2026, 3, 10))} == {0}
    months = starts(date(2024, 11, 15), date(2026, 3, 10))
    assert (len(months), {day.day for day in months}) == (17, {1})


# --- Figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rolled_up", [False, True])
def test_the_figures_are_those_of_the_analytics(rolled_up: bool) -> None:
    paywall, other, strangers = make_paywall(), make_paywall(), make_paywall()
    ask(paywall, "alice", NOW - timedelta(hours=1), 700)
    ask(paywall, "bob", NOW - timedelta(days=1), 0, model="mini", status="failed")
    ask(paywall, "bob", NOW - timedelta(days=2), 200)
    ask(paywall, "carol", NOW - timedelta(days=8), 50)
    ask(other, "alice", NOW, 11)
    ask(strangers, "eve", NOW, 1_000_000)
    if rolled_up:
        roll_up_all()
    tenants = [paywall.tenant_id, other.tenant_id]
    asked = overview.period(NOW.date() - timedelta(days=6), NOW.date(), NOW)
    found = overview.overview(tenants, asked)
    assert found.now == queries.total(Selection(tenants, asked.since, asked.until))
    assert (found.now.charged, found.now.events, found.now.errors) == (911, 4, 1)
    assert (found.before.charged, found.before.events) == (50, 1)
    assert [group.key for group in found.models] == [("gpt",), ("mini",)]
    assert sum(sums.charged for _, sums in found.timeline) == 911
    assert found.timeline[0][1] == Sums()
    paid = payers(tenants, asked)
    # Two tenants' alices are two people.
    assert (paid.now, paid.before) == (3, 1)
    assert [(each.user_id, each.charged) for each in paid.top] == [
        ("alice", 700),
        ("bob", 200),
        ("alice", 11),
    ]
    assert overview.overview(tenants, asked, [other.pk]).now.charged == 11
    assert payers(tenants, asked, other.pk).now == 1


def test_the_page_shows_them_beside_the_period_before(root: Client) -> None:
    paywall = make_paywall(name="Acme Chat")
    now = datetime.now(UTC)
    ask(paywall, "alice", now, 3 * NANO)
    ask(paywall, "bob", now, 0, status="failed", cost=None)
    ask(paywall, "alice", now - timedelta(days=7), 2 * NANO)
    html = first_page(root, days=7)
    for text in ("$3.00", "$1.50", "50.00%", "from $2.00", "50.0%"):
        assert text in html, text
    drawn = [json.loads(data) for data in re.findall(r'data-value="(.+?)" data-options', html)]
    assert len(drawn) == 3
    assert drawn[0]["datasets"][0]["data"][-1] == "3"
    # Each chart has its figures as a table.
    assert html.count("<canvas") == html.count("<table") == 3
    who = payers_part(root, html)
    assert "alice" in who
    assert "$3.00" in who
    assert 'id="payers-card"' in who
    assert who.count("<canvas") == who.count("<table") == 1


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"days": "365"},
        {"days": "x"},
        {"from": "nonsense"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"paywall": "pw_nope"},
    ],
)
def test_any_address_answers(query: dict[str, str], root: Client) -> None:
    ask(make_paywall(), "alice", datetime.now(UTC), NANO)
    payers_part(root, first_page(root, **query))


def test_more_traffic_takes_no_more_queries(root: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            first_page(root)
        return len(captured)

    ask(make_paywall(), "alice", datetime.now(UTC), NANO)
    count()  # the first page of a session writes that, too
    few = count()
    for number in range(5):
        ask(make_paywall(), f"user-{number}", datetime.now(UTC), NANO, model=f"model-{number}")
    assert count() == few


def test_who_may_not_see_money_sees_no_figures(client: Client) -> None:
    operator = User.objects.create(username="dev", is_staff=True)
    operator.user_permissions.add(Permission.objects.get(codename="view_paywall"))
    client.force_login(operator)
    ask(make_paywall(), "alice", datetime.now(UTC), NANO)
    html = first_page(client)
    assert "Revenue" not in html
    assert client.get(reverse("operators:payers")).status_code == 403
    client.logout()
    assert client.get(reverse("operators:payers")).status_code == 302


# --- Start -------------------------------------------------------------------------------------------------


def test_a_new_installation_leads_to_its_first_paywall_and_business(root: Client) -> None:
    address = reverse("admin:paywalls_paywall_set_up")
    assert first_page(root).count(f'href="{address}"') == 2
    given = {"business": "Acme", "email": "ops@acme.test", "name": "Chat", "mode": "default"}
    made = root.post(address, {**given, "markup_percent": "20", "trial_credit": "0"})
    paywall = Paywall.objects.get(name="Chat")
    assert str(paywall.pk) in made.headers["Location"]
    assert (paywall.tenant.name, paywall.tenant.email) == ("Acme", "ops@acme.test")
    assert f'href="{address}"' not in first_page(root)
    assert 'name="business"' not in root.get(address).content.decode()


def test_each_step_ticks_itself_off(root: Client) -> None:
    def done() -> str:
        [told] = re.findall(r"(\d of 3) done", first_page(root)) or ["none left"]
        return told

    html = first_page(root)
    assert done() == "0 of 3"
    assert "/v1/chat/completions" in html
    assert "YOUR_PAYWALL_KEY" in html
    paywall = make_paywall()
    make_model(paywall, make_provider(paywall))
    assert done() == "0 of 3", "the sandbox is no provider"
    provider = make_provider(paywall, base_url="https://api.openai.com/v1", api_key="sk")
    assert done() == "1 of 3"
    make_model(paywall, provider, model_id="gpt")
    assert done() == "2 of 3"
    ask(paywall, "alice", datetime.now(UTC), 0, status="blocked")
    assert done() == "2 of 3"
    ask(paywall, "alice", datetime.now(UTC), 0)
    assert done() == "none left"


def test_what_needs_a_look_is_named_and_linked(root: Client) -> None:
    assert "open alert" not in first_page(root)
    raise_alert(OperatorAlert.Kind.BOOKS, "a wallet's balance is off")
    html = first_page(root)
    [address] = re.findall(r'href="([^"]+resolved=no[^"]*)"', html)
    assert "1 open alert" in html
    assert root.get(address).status_code == 200
