"""End users on the operators' site: figures, money moved once by hand, links, export."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.money import NANO
from ledger import queries
from ledger import services as ledger
from ledger.models import Lot, TopUpLink, Transfer
from paywalls import standing
from paywalls.models import AuthorizationRequest, EndUser
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def alice() -> EndUser:
    """Somebody with ten dollars."""
    ref = UserRef(make_paywall(name="Acme Chat").pk, "alice")
    ledger.deposit(ref, 10 * NANO, source="first")
    return EndUser.objects.get(external_id="alice")


@pytest.fixture
def shared() -> EndUser:
    """Somebody of a shared paywall, connected to a wallet with ten dollars."""
    paywall = make_paywall(mode="shared", name="Oracle")
    make_connection(UserRef(paywall.pk, "bob"), make_wallet_user(balance=10 * NANO))
    return EndUser.objects.get(external_id="bob", paywall=paywall)


def address(row: Any, action: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}", args=[row.pk])


def balance(user: EndUser) -> int:
    return queries.balance_of(UserRef(user.paywall_id, user.external_id)).posted


def send(root: Client, row: Any, action: str, **fields: Any) -> Any:
    """Fill in the form that the page shows, and send it; the page it leads to."""
    html = root.get(address(row, action)).content.decode()
    found = re.search(r'name="token" value="([0-9a-f-]{36})"', html)
    assert found, html
    form = {"token": found[1], "reason": "a goodwill gesture", **fields}
    return root.post(address(row, action), form, follow=True)


Sent = Callable[..., Any]


def test_credit_is_granted_with_a_reason_and_an_end(root: Client, alice: EndUser) -> None:
    day = timezone.now().date() + timedelta(days=3)
    page = send(root, alice, "grant", amount="2.50", expires=day.isoformat()).content.decode()
    assert "Granted $2.50" in page
    assert balance(alice) == 12.5 * NANO
    lot = Lot.objects.get(kind="granted")
    assert lot.expires_at
    assert lot.expires_at.date() == day + timedelta(days=1)
    given = Transfer.objects.get(kind="grant")
    assert given.metadata == {"reason": "a goodwill gesture", "actor": "root"}
    assert LogEntry.objects.get().get_change_message() == "Granted $2.50: a goodwill gesture"


@pytest.mark.parametrize(
    ("action", "fields", "after"),
    [
        ("grant", {}, 11),
        ("charge", {}, 9),
        ("adjust", {"direction": "add"}, 11),
        ("adjust", {"direction": "take"}, 9),
    ],
)
def test_a_form_that_is_sent_twice_moves_money_once(
    action: str, fields: dict[str, str], after: int, root: Client, alice: EndUser
) -> None:
    form = {"token": str(uuid.uuid4()), "amount": "1", "reason": "twice", **fields}
    first, second = (root.post(address(alice, action), form, follow=True) for _ in range(2))
    assert balance(alice) == after * NANO
    assert "nothing moved twice" not in first.content.decode()
    assert "nothing moved twice" in second.content.decode()
    assert LogEntry.objects.count() == 1
    other = root.post(address(alice, action), {**form, "amount": "3"})
    assert "was sent before with something else" in other.content.decode()
    assert balance(alice) == after * NANO


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"amount": "0"}, "above zero"),
        ({"amount": "-1"}, "This "),
        ({"amount": "a lot"}, "This "),
        ({"amount": ""}, "required"),
        ({"reason": "  "}, "required"),
        ({"token": "none"}, ""),
        ({"expires": "2001-01-01"}, "This day is over."),
    ],
)
def test_what_makes_no_sense_moves_nothing(
    fields: dict[str, str], told: str, root: Client, alice: EndUser
) -> None:
    form = {"token": str(uuid.uuid4()), "amount": "1", "reason": "why not", **fields}
    response = root.post(address(alice, "grant"), form)
    assert response.status_code == 200
    assert told in response.content.decode()
    assert balance(alice) == 10 * NANO


def test_a_charge_that_the_balance_does_not_cover_is_refused(root: Client, alice: EndUser) -> None:
    page = send(root, alice, "charge", amount="10.01").content.decode()
    assert "Nothing was moved: $10.01 needed, $10.00 available." in page
    standing.block_user(alice, "chargeback")
    assert (
        "Nothing was moved: the user is blocked." in send(root, alice, "charge", amount="1").content.decode()
    )
    assert balance(alice) == 10 * NANO


def test_a_charge_is_refunded_in_parts_and_never_beyond_itself(root: Client, alice: EndUser) -> None:
    ledger.charge(UserRef(alice.paywall_id, "alice"), 4 * NANO, source="sold")
    sold = Transfer.objects.get(kind="charge")
    assert address(sold, "refund") in root.get(address(alice, "change")).content.decode()
    assert "Refunded $1.50" in send(root, sold, "refund", amount="1.50").content.decode()
    assert balance(alice) == 7.5 * NANO
    assert 'value="2.5"' in root.get(address(sold, "refund")).content.decode()
    assert "is more than the $2.50 that is left" in send(root, sold, "refund", amount="3").content.decode()
    send(root, sold, "refund", amount="2.50")
    assert balance(alice) == 10 * NANO
    again = root.get(address(sold, "refund"), follow=True).content.decode()
    assert "Nothing of it is left to give back." in again


def test_a_deposit_is_taken_back_and_may_leave_debt(root: Client, alice: EndUser) -> None:
    ledger.charge(UserRef(alice.paywall_id, "alice"), 4 * NANO, source="sold")
    send(root, Transfer.objects.get(source="first"), "reverse", amount="10")
    assert balance(alice) == -4 * NANO
    assert (
        "No deposit can be."
        in root.get(address(Transfer.objects.get(source="first"), "refund"), follow=True).content.decode()
    )


def test_a_shared_wallet_is_charged_but_neither_given_to_nor_corrected(root: Client, shared: EndUser) -> None:
    for action in ("grant", "adjust"):
        told = root.get(address(shared, action), follow=True).content.decode()
        assert "In shared mode the balance is the person" in told
    send(root, shared, "charge", amount="1")
    assert balance(shared) == 9 * NANO
    page = root.get(address(shared, "change")).content.decode()
    assert "connected" in page
    assert "a goodwill gesture" in page
    # What was charged in their paywall, and no word of the deposit by which the person filled the wallet.
    lines = b"".join(root.get(address(shared, "export")).streaming_content).splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2


def test_links_are_made_when_asked_for_and_shown(root: Client, alice: EndUser, shared: EndUser) -> None:
    root.get(address(alice, "topup_link"))
    assert not TopUpLink.objects.exists()
    page = root.post(address(alice, "topup_link")).content.decode()
    assert re.search(r"http://\S+/t/[\w-]{43}<", page)
    connected = root.post(address(shared, "connect_link"), follow=True).content.decode()
    assert "The user is connected already." in connected
    assert (
        "Only users of shared paywalls"
        in root.post(address(alice, "connect_link"), follow=True).content.decode()
    )
    carol = EndUser.objects.create(paywall=shared.paywall, external_id="carol")
    assert "/c/" in root.post(address(carol, "connect_link")).content.decode()
    assert AuthorizationRequest.objects.filter(user=carol).count() == 1
    assert "There is no link" in root.post(address(carol, "topup_link"), follow=True).content.decode()


def test_the_ledger_of_a_user_is_exported(root: Client, alice: EndUser) -> None:
    ledger.charge(UserRef(alice.paywall_id, "alice"), NANO, source="=cmd()")
    response = root.get(address(alice, "export"))
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[2:4] for line in lines[1:]] == [["charge", "-1"], ["deposit", "10"]]
    assert ",'=cmd()," in lines[1]
    assert response["Content-Disposition"] == f'attachment; filename="{alice.public_id}.csv"'


def test_the_list_shows_state_and_last_activity(
    root: Client, alice: EndUser, shared: EndUser, django_assert_max_num_queries: Any
) -> None:
    standing.block_user(alice, "chargeback")
    with django_assert_max_num_queries(12):
        page = root.get(reverse("admin:paywalls_enduser_changelist")).content.decode()
    assert "blocked" in page
    assert "connected" in page
    assert f"{timezone.now():%Y-%m-%d}" in page
