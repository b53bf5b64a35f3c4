"""The operators' site in shared mode: withdrawals are decided, everything else is there to look at."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from ledger import services
from ledger.models import Settlement, Split, Withdrawal
from paywalls import connections
from paywalls.models import AuthorizationRequest, Connection, WalletUser
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client):
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def withdrawal():
    """The whole earnings of a paywall, asked for."""
    alice = UserRef(make_paywall(mode="shared").pk, "alice")
    paywall = make_connection(alice, make_wallet_user(balance=10_000)).paywall
    connections.link_for(UserRef(paywall.pk, "bob"))
    services.charge(alice, 1_000, source="c")
    return services.request_withdrawal(paywall, 1_000)


def decide(root, withdrawal, decision, **more):
    page = reverse("admin:ledger_withdrawal_change", args=[withdrawal.pk])
    answer = root.post(page, {"decision": decision, "reference": "", "reason": "", **more}, follow=True)
    withdrawal.refresh_from_db()
    return answer.content.decode()


def test_a_withdrawal_is_approved_then_paid_with_a_reference(root, withdrawal):
    decide(root, withdrawal, "approve")
    assert withdrawal.state == "approved"
    assert "A payment needs one" in decide(root, withdrawal, "paid")
    assert withdrawal.state == "approved"
    decide(root, withdrawal, "paid", reference="wire 7")
    assert (withdrawal.state, withdrawal.reference) == ("paid", "wire 7")


def test_one_that_was_not_approved_is_not_paid(root, withdrawal):
    assert "Nothing was changed: it is requested." in decide(root, withdrawal, "paid", reference="wire 7")
    assert withdrawal.state == "requested"


def test_a_refused_one_is_earned_again(root, withdrawal):
    decide(root, withdrawal, "refuse", reason="no account")
    assert (withdrawal.state, withdrawal.reason) == ("refused", "no account")
    assert services.earnings_of(withdrawal.paywall) == 1_000


@pytest.mark.parametrize(
    "model",
    [AuthorizationRequest, Connection, Settlement, Split, WalletUser, Withdrawal],
    ids=lambda m: m.__name__,
)
def test_there_is_a_list_and_a_page(root, withdrawal, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert root.get(reverse(f"{name}_changelist")).status_code == 200
    row = model.objects.first()
    assert root.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
