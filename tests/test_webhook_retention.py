"""Old events are forgotten with their log; what still waits never is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config import ids
from paywalls.models import Paywall
from tests.factories import make_paywall
from tests.threads import in_threads
from webhooks import outbox, retention, services
from webhooks.drafts import Draft, Subject
from webhooks.models import Delivery, Event, Subscription
from webhooks.tasks import forget_old_events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paywall() -> Paywall:
    return make_paywall()


@pytest.fixture
def subscription(paywall: Paywall) -> Subscription:
    return services.create(paywall.pk, url="https://example.com/hook", events=["*"])[0]


def happened(paywall: Paywall, days_ago: float, state: str = "succeeded") -> Event:
    """An event of that age, whose delivery is in that state."""
    outbox.emit(
        paywall.pk, Draft("paywall.archived", {"reason": "moved"}, Subject("paywall", paywall.public_id))
    )
    made = timezone.now() - timedelta(days=days_ago)
    event = Event.objects.latest("created_at")
    key = type(event.pk)(int=(int(made.timestamp() * 1000) << 80) | (event.pk.int & ((1 << 80) - 1)))
    leased = {"lease_token": ids.new(), "lease_until": timezone.now()} if state == "in_flight" else {}
    body = {"paywall_id": paywall.pk, "tenant_id": paywall.tenant_id, "type": event.type, "body": event.body}
    old = Event.objects.create(pk=key, created_at=made, version=event.version, **body)
    event.deliveries.update(event=old, state=state, **leased)
    event.delete()
    return old


def test_what_is_old_goes_with_its_log_and_what_is_young_stays(
    paywall: Paywall, subscription: Subscription
) -> None:
    for state in ("succeeded", "refused", "exhausted"):
        happened(paywall, 91, state)
    young = happened(paywall, 89)
    assert forget_old_events() == 3
    assert list(Event.objects.all()) == [young]
    assert [delivery.event_id for delivery in Delivery.objects.all()] == [young.pk]
    assert forget_old_events() == 0


@pytest.mark.parametrize("state", ["pending", "retrying", "in_flight"])
def test_what_still_waits_is_never_forgotten(
    paywall: Paywall, subscription: Subscription, state: str
) -> None:
    waiting = happened(paywall, 1_000, state)
    services.deactivate(subscription)
    assert forget_old_events() == 0
    assert Delivery.objects.get().event == waiting


def test_an_event_whose_deliveries_are_gone_is_forgotten(
    paywall: Paywall, subscription: Subscription
) -> None:
    happened(paywall, 91)
    Delivery.objects.all().delete()
    assert forget_old_events() == 1


def test_zero_days_keep_everything(paywall: Paywall, subscription: Subscription, settings: Any) -> None:
    settings.WEBHOOK_RETENTION_DAYS = 0
    happened(paywall, 10_000)
    assert forget_old_events() == 0


def test_many_go_in_chunks_past_those_that_wait_and_two_at_once_do_no_harm(
    paywall: Paywall, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    waiting = {happened(paywall, 100 + number, "pending").pk for number in range(0, 20, 4)}
    for number in range(15):
        happened(paywall, 100 + number)
    assert sum(in_threads(3, lambda _: forget_old_events())) == 15
    assert set(Event.objects.values_list("pk", flat=True)) == waiting


def test_an_event_that_is_replayed_meanwhile_stays(paywall: Paywall, subscription: Subscription) -> None:
    """The replay's delivery comes between the look at an event and its removal."""
    event = happened(paywall, 91)

    def replayed_between(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("DELETE FROM webhooks_delivery"):
            Delivery.objects.filter(event=event).update(state="pending")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(replayed_between):
        assert forget_old_events() == 0
    assert Delivery.objects.get().event == event
