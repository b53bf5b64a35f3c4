"""The operators' site: alerts are resolved, lost requests are charged or closed, and it is written who did it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from config import ids
from ledger import services, tasks
from ledger.alerts import raise_alert
from ledger.models import Account, OperatorAlert, ReconciliationItem
from ledger.operations import PlaceHold
from ledger.posting import post_one
from paywalls.users import UserRef
from tests.factories import make_paywall

pytestmark = pytest.mark.django_db

ALERTS = reverse("admin:ledger_operatoralert_changelist")


@pytest.fixture
def root(client):
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def lost():
    alice = UserRef(make_paywall(trial_credit=0).id, "alice")
    services.deposit(alice, 10**9, source="d")
    post_one(PlaceHold(alice, ids.new(), 10**8, -1))
    services.sweep_stale_holds()
    return ReconciliationItem.objects.get()


def page(item):
    return reverse("admin:ledger_reconciliationitem_change", args=[item.pk])


def test_an_alert_stays_one_until_it_is_resolved_and_opens_anew_after(root):
    for text in ("one fault", "two faults"):
        raise_alert(OperatorAlert.Kind.BOOKS, text)
    alert = OperatorAlert.objects.get()
    assert (alert.text, alert.resolved_at) == ("two faults", None)
    answer = root.post(ALERTS, {"action": "resolve", "_selected_action": [str(alert.pk)]}, follow=True)
    assert "resolved." in answer.content.decode()
    alert.refresh_from_db()
    assert (alert.resolved_at is not None, alert.resolved_by) == (True, "root")
    assert LogEntry.objects.get().object_id == str(alert.pk)
    raise_alert(OperatorAlert.Kind.BOOKS, "again")
    assert OperatorAlert.objects.filter(resolved_at=None).count() == 1


def test_who_may_only_look_resolves_nothing(client):
    client.force_login(User.objects.create(username="guest", is_staff=True))
    raise_alert(OperatorAlert.Kind.BOOKS, "a fault")
    alert = OperatorAlert.objects.get()
    client.post(ALERTS, {"action": "resolve", "_selected_action": [str(alert.pk)]})
    assert OperatorAlert.objects.get().resolved_at is None


def test_an_operator_charges_a_lost_request(root, lost):
    assert root.get(page(lost)).status_code == 200
    root.post(page(lost), {"charge": "0.04", "note": "invoice 7"})
    lost.refresh_from_db()
    assert (lost.state, lost.closed_by, lost.note) == ("charged", "root", "invoice 7")
    assert Account.objects.get(kind="wallet").posted == 960_000_000
    # What is closed stays as it is.
    assert root.post(page(lost), {"charge": "0.5", "note": ""}).status_code == 403


def test_an_operator_closes_a_lost_request_without_a_charge(root, lost):
    root.post(page(lost), {"charge": "", "note": "the provider never saw it"})
    lost.refresh_from_db()
    assert (lost.state, lost.closed_by) == ("released", "root")
    assert Account.objects.get(kind="wallet").posted == 10**9


def test_an_amount_that_is_none_closes_nothing(root, lost):
    assert root.post(page(lost), {"charge": "-1", "note": ""}).status_code == 200
    lost.refresh_from_db()
    assert lost.state == "open"


@pytest.mark.django_db(transaction=True)
def test_books_that_do_not_sum_raise_an_alert_that_stays(lost):
    assert tasks.verify_books() == 0
    assert not OperatorAlert.objects.exists()
    Account.objects.filter(kind="wallet").update(posted=1)
    for _ in range(2):
        assert tasks.verify_books() > 0
    alert = OperatorAlert.objects.get()
    assert "a wallet's balance is the sum of its transfers" in alert.text
    Account.objects.filter(kind="wallet").update(posted=10**9)
    assert tasks.verify_books() == 0
    assert OperatorAlert.objects.get().resolved_at is None
