"""The operators' site: users blocked, paywalls archived, publishable keys issued, callers and words set."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from config import secrets
from paywalls.models import EndUser, Paywall, PaywallKey
from tests.factories import make_paywall, make_user

pytestmark = pytest.mark.django_db

USERS = reverse("admin:paywalls_enduser_changelist")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def act(operator: Client, name: str, rows: list[EndUser], **more: str) -> Any:
    chosen = {"action": name, "_selected_action": [str(row.pk) for row in rows]}
    return operator.post(USERS, {**chosen, **more}, follow=True)


def test_a_block_asks_for_a_reason_and_is_logged(operator: Client) -> None:
    alice, bob = make_user(external_id="alice"), make_user(external_id="bob")
    assert "Block these end users?" in act(operator, "block", [alice, bob]).content.decode()
    refused = act(operator, "block", [alice], confirmed="yes", reason=" ")
    assert "The reason must not be empty" in refused.content.decode()
    assert not EndUser.objects.filter(blocked_at__isnull=False).exists()

    act(operator, "block", [alice, bob], confirmed="yes", reason="chargebacks")
    assert EndUser.objects.filter(blocked_at__isnull=False, blocked_reason="chargebacks").count() == 2
    assert LogEntry.objects.filter(change_message__contains="Blocked: chargebacks").count() == 2

    act(operator, "unblock", [alice])
    alice.refresh_from_db()
    assert alice.blocked_at is None
    assert LogEntry.objects.filter(object_id=str(alice.pk)).count() == 2


def test_a_paywall_is_archived_with_a_reason_and_restored(operator: Client) -> None:
    paywall = make_paywall()
    page = reverse("admin:paywalls_paywall_archive", args=[paywall.pk])
    assert "Balances stay" in operator.get(page).content.decode()
    assert "must not be empty" in operator.post(page, {"confirmed": "yes"}).content.decode()
    operator.post(page, {"confirmed": "yes", "reason": "closed for good"})
    paywall.refresh_from_db()
    assert (paywall.archived_reason, paywall.archived_at is None) == ("closed for good", False)
    shown = operator.get(reverse("admin:paywalls_paywall_change", args=[paywall.pk])).content.decode()
    assert "closed for good" in shown

    back = reverse("admin:paywalls_paywall_restore", args=[paywall.pk])
    operator.get(back)
    paywall.refresh_from_db()
    assert paywall.archived_at
    operator.post(back, {"confirmed": "yes"})
    paywall.refresh_from_db()
    assert paywall.archived_at is None
    assert LogEntry.objects.filter(object_id=str(paywall.pk)).count() == 2


def test_a_publishable_key_is_issued_and_shown_once(operator: Client) -> None:
    paywall = make_paywall()
    page = reverse("admin:paywalls_paywall_issue_publishable_key", args=[paywall.pk])
    assert "browsers and mobile apps" in operator.get(page).content.decode()
    assert "pk-paywalls-" in operator.post(page, {"confirmed": "yes"}).content.decode()
    [key] = PaywallKey.objects.all()
    assert (key.kind, str(key)) == ("publishable", f"pk-paywalls-…{key.last_four}")


def test_callers_and_words_are_set_and_the_secret_stays(operator: Client) -> None:
    paywall = make_paywall()
    page = reverse("admin:paywalls_paywall_change", args=[paywall.pk])
    form = operator.get(page).context["adminform"].form
    told = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in told.items() if value not in (None, False)}
    sent |= {
        "user_headers": "X-OpenWebUI-User-Id\r\n\r\nX-Acme",
        "allowed_origins": "https://app.acme.test",
        "replies": "error",
        "funds_template": "Pay: {{ url }}",
        "response_url": "https://app.acme.test/words",
    }
    inlines = {
        f"{prefix}-{count}": "0"
        for prefix in ("models", "providers", "keys")
        for count in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    without = operator.post(page, {**sent, **inlines})
    assert "it signs what your endpoint gets" in without.content.decode()
    done = operator.post(page, {**sent, **inlines, "new_response_secret": "a-secret-of-ours"})
    assert done.status_code == 302, done.context["adminform"].form.errors
    paywall = Paywall.objects.get()
    assert paywall.user_headers == ["X-OpenWebUI-User-Id", "X-Acme"]
    assert (paywall.replies, paywall.funds_template) == ("error", "Pay: {{ url }}")
    assert secrets.decrypt(paywall.response_secret) == "a-secret-of-ours"
    assert "a-secret-of-ours" not in operator.get(page).content.decode()
    assert operator.post(page, {**sent, **inlines, "replies": "message"}).status_code == 302
    assert secrets.decrypt(Paywall.objects.get().response_secret) == "a-secret-of-ours"
