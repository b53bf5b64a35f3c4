"""Lists as CSV, the box that finds any id, and the ways from one row to the next."""

import csv
import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import ids
from config.admin import exporting
from config.money import NANO
from ledger import services as ledger
from ledger.models import Hold, ProxyRequest, Transfer
from ledger.operations import Capture, PlaceHold
from ledger.posting import post_one
from paywalls.models import EndUser, Membership
from paywalls.roles import Role
from paywalls.users import UserRef
from tests.factories import make_paywall
from webhooks import services as webhooks
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def sold() -> SimpleNamespace:
    """One request with its hold, charge, event and delivery."""
    paywall = make_paywall(name="Acme Chat")
    webhooks.create(paywall.pk, url="https://example.com/hook", events=["paywall.usage.charge.created"])
    user = ledger.ensure_user(UserRef(paywall.pk, "=alice"))
    ledger.deposit(UserRef(paywall.pk, "=alice"), 5 * NANO, source="deposit:1")
    request = ids.new()
    post_one(PlaceHold(wallet=user.wallet.pk, hold_id=request, amount=NANO, seconds=60))
    post_one(
        Capture(
            wallet=user.wallet.pk, hold_id=request, amount=12_000, source=f"usage:{request.hex}",
            metadata={"model": "gpt"},
        )
    )  # fmt: skip
    ProxyRequest.objects.create(
        pk=request, paywall=paywall, external_id="=alice", model="gpt", surface="chat", status="completed",
        charge=12_000,
    )  # fmt: skip
    return SimpleNamespace(paywall=paywall, user=user, hold=Hold.objects.get(pk=request))


def page(model: type[Model], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def lines(chunks: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(chunks).decode())))


# --- CSV ---------------------------------------------------------------------------------------------------


def exported(client: Client, model: type[Model], **query: Any) -> list[dict[str, str]]:
    """The file, read in this thread, whose transaction has the rows."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "from_threads", iter)
        response = client.get(page(model, "export_list"), query)
        assert response.status_code == 200
        assert "attachment" in response["Content-Disposition"]
        return lines(response.streaming_content)  # type: ignore[attr-defined]


def test_what_is_filtered_is_the_file(root: Client, sold: SimpleNamespace) -> None:
    assert [row["kind"] for row in exported(root, Transfer)] == ["deposit", "usage"]
    [usage] = exported(root, Transfer, kind__exact="usage")
    assert (usage["amount"], usage["request_id"]) == ("-0.000012", sold.hold.public_id)
    assert exported(root, Transfer, q="nobody") == []
    [asked] = exported(root, ProxyRequest)
    assert (asked["charge"], asked["cost"], asked["model"]) == ("0.000012", "", "gpt")
    [delivery] = exported(root, Delivery)
    assert delivery["event"] == "paywall.usage.charge.created"
    [user] = exported(root, EndUser)
    assert user["balance"] == "4.999988"


def test_a_text_that_a_spreadsheet_would_run_is_made_harmless(root: Client, sold: SimpleNamespace) -> None:
    assert {row["user"] for row in exported(root, Transfer)} == {"'=alice"}


@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
def test_a_file_is_read_in_pages(size: int, sold: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", size)
    with CaptureQueriesContext(connection) as captured:
        chunks = list(exporting.chunks(Transfer.objects.all(), {"source": lambda row: row.source}))
    assert [row["source"].partition(":")[0] for row in lines(chunks)] == ["deposit", "usage"]
    assert len(captured) == 2 // size + 1
    assert all(f"LIMIT {size}" in query["sql"] for query in captured)


def test_the_list_links_to_the_file_of_what_it_shows(root: Client, sold: SimpleNamespace) -> None:
    html = root.get(page(Transfer, "changelist"), {"kind__exact": "usage"}).content.decode()
    assert 'href="csv/?kind__exact=usage"' in html


def test_a_file_needs_a_log_in(client: Client) -> None:
    assert client.get(page(Transfer, "export_list")).status_code == 302


# --- Finding -----------------------------------------------------------------------------------------------


def find(client: Client, term: str) -> set[str]:
    """The addresses that are found."""
    response = client.get(reverse("operators:find"), {"q": term})
    if response.status_code == 302:
        return {response["Location"]}
    found = re.search(r'class="panel finds".*?</ul>', response.content.decode(), re.DOTALL)
    return set(re.findall(r'href="([^"]+)"', found[0])) if found else set()


def test_one_box_finds_any_id(root: Client, sold: SimpleNamespace) -> None:
    usage, event, delivery = Transfer.objects.get(kind="usage"), Event.objects.get(), Delivery.objects.get()
    request = page(ProxyRequest, "change", sold.hold.pk)
    hold = page(Hold, "change", sold.hold.pk)
    charge = page(Transfer, "change", usage.pk)
    told = page(Event, "change", event.pk)
    assert find(root, f" {sold.hold.public_id} ") == {request, hold, charge, told}
    assert find(root, str(sold.hold.pk)) == {request, hold}
    assert find(root, usage.public_id) == find(root, usage.source) == {charge}
    assert find(root, "=alice") == find(root, sold.user.public_id) == {page(EndUser, "change", sold.user.pk)}
    assert find(root, delivery.public_id) == {page(Delivery, "change", delivery.pk)}
    sent = {page(Event, "change", event.pk), page(Delivery, "change", delivery.pk)}
    assert find(root, event.public_id) == sent
    for nobody in ("=ALICE", "req_" + "0" * 32, "evt_1Nothing", "x" * 500, ""):
        assert find(root, nobody) == set()


def test_nothing_is_found_of_other_tenants(client: Client, sold: SimpleNamespace) -> None:
    clerk = User.objects.create(username="clerk", is_staff=True)
    client.force_login(clerk)
    Membership.objects.create(user=clerk, tenant=make_paywall().tenant, role=Role.OWNER)
    assert find(client, sold.hold.public_id) == find(client, "=alice") == set()
    assert exported(client, Transfer) == []
    html = client.get(reverse("admin:index")).content.decode()
    assert "Acme Chat" not in html
    Membership.objects.create(user=clerk, tenant=sold.paywall.tenant, role=Role.OWNER)
    assert find(client, "=alice") == {page(EndUser, "change", sold.user.pk)}
    assert len(exported(client, Transfer)) == 2
    assert "Acme Chat" in client.get(reverse("admin:index")).content.decode()


# --- From one row to the next ------------------------------------------------------------------------------


def test_a_charge_a_request_and_its_hold_lead_to_each_other(root: Client, sold: SimpleNamespace) -> None:
    usage = Transfer.objects.get(kind="usage")
    request = page(ProxyRequest, "change", sold.hold.pk)
    hold = page(Hold, "change", sold.hold.pk)
    charge = root.get(page(Transfer, "change", usage.pk)).content.decode()
    assert request in charge
    assert hold in charge
    asked = root.get(request).content.decode()
    assert hold in asked
    assert sold.hold.public_id in asked
    assert request in root.get(hold).content.decode()


def test_a_delivery_shows_what_was_sent(root: Client, sold: SimpleNamespace) -> None:
    html = root.get(page(Delivery, "change", Delivery.objects.get().pk)).content.decode()
    assert "promptTokens" in html
