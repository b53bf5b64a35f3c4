"""Subscriptions and deliveries on the operators' site: actions that call the services."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from paywalls.models import Paywall
from tests.factories import make_paywall
from tests.receiver import Receiver
from tests.test_webhook_delivery import archived, deliver
from webhooks import services
from webhooks.models import Delivery, Event, Subscription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]


def act(client: Client, model: type[Model], action: str) -> str:
    """Choose every row and run an action; the page that follows."""
    address = reverse(f"admin:webhooks_{model._meta.model_name}_changelist")
    chosen = [str(row.pk) for row in model._default_manager.all()]
    response = client.post(address, {"action": action, "_selected_action": chosen}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def shown(client: Client, row: Model) -> str:
    response = client.get(reverse(f"admin:webhooks_{row._meta.model_name}_change", args=[row.pk]))
    assert response.status_code == 200
    return response.content.decode()


def test_an_operator_sends_a_failed_delivery_again(root: Client) -> None:
    paywall: Paywall = make_paywall()
    with Receiver() as receiver:
        receiver.answer = (410, b"<b>gone</b>")
        services.create(paywall.pk, url=receiver.url, events=["*"])
        archived(paywall)
        deliver()
        delivery = Delivery.objects.get()
        assert "&lt;b&gt;gone" in shown(root, delivery)
        receiver.answer = (200, b"")
        assert "1 will be sent again" in act(root, Delivery, "retry")
        deliver()
        delivery.refresh_from_db()
        assert delivery.state == "succeeded"
        assert LogEntry.objects.filter(object_id=str(delivery.pk)).exists()
        assert "paywall.archived" in shown(root, Event.objects.get())


def test_a_deliverys_own_page_sends_it_again_once_that_is_confirmed(root: Client) -> None:
    paywall = make_paywall()
    with Receiver() as receiver:
        services.create(paywall.pk, url=receiver.url, events=["*"])
        archived(paywall)
        deliver()
        delivery = Delivery.objects.get()
        address = reverse("admin:webhooks_delivery_send_again", args=[delivery.pk])
        assert f"{receiver.url} gets the same event once more." in root.get(address).content.decode()
        assert len(receiver.types) == 1
        assert "1 will be sent again" in root.post(address, follow=True).content.decode()
        deliver()
        assert len(receiver.types) == 2


def test_an_operator_stops_and_starts_an_endpoint_and_tries_it(root: Client) -> None:
    with Receiver() as receiver:
        row, secret = services.create(make_paywall().pk, url=receiver.url, events=["*"])
        act(root, Subscription, "deactivate")
        row.refresh_from_db()
        assert (row.is_active, row.disabled_reason) == (False, "deactivated by the operator")
        act(root, Subscription, "activate")
        row.refresh_from_db()
        assert (row.is_active, row.disabled_reason) == (True, "")
        assert "200 in" in act(root, Subscription, "ping")
        assert receiver.types == ["paywall.ping"]
        page = shown(root, row)
        assert secret[-6:] in page
        assert secret not in page
