"""Limits on the operators' site: of a paywall, a model, and a user's own."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from config.money import NANO
from ledger import services as ledger
from ledger.services import WalletSettings
from paywalls.models import EndUser
from paywalls.users import UserRef
from tests.factories import make_model, make_paywall

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def alice() -> EndUser:
    return ledger.ensure_user(UserRef(make_paywall().pk, "alice"))


def page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def filled(root: Client, row: Any) -> dict[str, Any]:
    """What the page's form would send as it stands."""
    form = root.get(page(row)).context["adminform"].form
    values = {field.html_name: field.value() for field in form}
    management = {"TOTAL_FORMS": "0", "INITIAL_FORMS": "0", "MIN_NUM_FORMS": "0", "MAX_NUM_FORMS": "0"}
    inlines = {
        f"{formset.formset.prefix}-{name}": value
        for formset in root.get(page(row)).context["inline_admin_formsets"]
        for name, value in management.items()
    }
    return inlines | {
        name: "" if value is None or value is False else value for name, value in values.items()
    }


def save(root: Client, row: Any, **changes: Any) -> str:
    """Save the page with these changes; its faults, "" where it was saved."""
    answer = root.post(page(row), {**filled(root, row), **changes})
    if answer.status_code == 302:
        row.refresh_from_db()
        return ""
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def test_a_users_own_limits_are_set_and_taken_back(root: Client, alice: EndUser) -> None:
    own = {"requests_per_minute": "5", "allowed_models": "openai/*\nsandbox/echo\n", "spend_per_day": "2.50"}
    assert save(root, alice, **own) == ""
    assert (alice.requests_per_minute, alice.tokens_per_minute) == (5, None)
    assert alice.allowed_models == ["openai/*", "sandbox/echo"]
    assert ledger.wallet_settings(UserRef(alice.paywall_id, "alice")).limits.day == 2_500_000_000
    shown = root.get(page(alice)).content.decode()
    assert "openai/*\nsandbox/echo" in shown
    assert 'value="2.5"' in shown
    assert save(root, alice, requests_per_minute="", allowed_models="", spend_per_day="") == ""
    assert (alice.requests_per_minute, alice.allowed_models) == (None, None)
    assert ledger.wallet_settings(UserRef(alice.paywall_id, "alice")) == WalletSettings()


def test_spend_limits_leave_the_wallets_other_settings(root: Client, alice: EndUser) -> None:
    user = UserRef(alice.paywall_id, "alice")
    ledger.configure_wallet(user, WalletSettings(low_balance=NANO))
    assert save(root, alice, spend_per_month="9") == ""
    settings = ledger.wallet_settings(user)
    assert (settings.low_balance, settings.limits.month) == (NANO, 9 * NANO)


def test_limits_that_are_none_are_refused_at_their_field(root: Client, alice: EndUser) -> None:
    assert "must be a whole number from 1" in save(root, alice, requests_per_minute="0")
    assert "only at the end of an id" in save(root, alice, allowed_models="*/echo")


def test_no_more_users_have_their_own_than_a_process_keeps(
    root: Client, alice: EndUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paywalls.services.users.MAX_LIMITED_USERS", 1)
    bob = ledger.ensure_user(UserRef(alice.paywall_id, "bob"))
    assert save(root, alice, requests_per_minute="5") == ""
    assert "1 users of this paywall have limits" in save(root, bob, requests_per_minute="5")
    assert save(root, alice, requests_per_minute="6") == "", "who has some may have others"


def test_a_user_is_neither_made_nor_deleted(root: Client, alice: EndUser) -> None:
    assert root.get(reverse("admin:paywalls_enduser_add")).status_code == 403
    assert root.post(reverse("admin:paywalls_enduser_delete", args=[alice.pk])).status_code == 403


def test_a_paywalls_and_a_models_limits_are_set(root: Client) -> None:
    model = make_model()
    paywall = model.paywall
    assert save(root, paywall, tokens_per_minute="1000", spend_per_month="20", allowed_models="a\na") == ""
    assert (paywall.tokens_per_minute, paywall.spend_per_month) == (1_000, 20 * NANO)
    assert paywall.allowed_models == ["a"]
    assert save(root, model, concurrent_requests="2", spend_per_day="0.50") == ""
    assert (model.concurrent_requests, model.spend_per_day, model.spend_per_month) == (2, NANO // 2, None)
    assert 'value="0.5"' in root.get(page(model)).content.decode()
    assert save(root, model, spend_per_day="") == ""
    assert model.spend_per_day is None
