"""Deliveries: at least once, retried, kept to the rules of the contract, and recorded by whoever holds the lease."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from config.money import NANO
from ledger import services as ledger
from ledger.models import OperatorAlert
from paywalls.models import Paywall
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.receiver import Receiver
from tests.threads import at_once
from webhooks import claims, outbox, recording, sending, services
from webhooks.claims import Queue
from webhooks.delivery import Courier
from webhooks.drafts import Draft, Subject
from webhooks.models import Delivery, Event, Subscription
from webhooks.tasks import alert

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def receiver() -> Any:
    with Receiver() as running:
        yield running


@pytest.fixture
def paywall() -> Paywall:
    return make_paywall()


def subscribe(paywall: Paywall, url: str, events: Any = ("*",), **more: Any) -> Subscription:
    return services.create(paywall.pk, url=url, events=list(events), **more)[0]


def archived(paywall: Paywall, reason: str = "moved") -> int:
    """Emit an event that nothing else is needed for."""
    draft = Draft("paywall.archived", {"reason": reason}, Subject("paywall", paywall.public_id))
    return outbox.emit(paywall.pk, draft)


def deliver() -> int:
    """What a worker does when it looks."""
    return Courier(senders=8, gave_up=alert).run()


def due_now() -> None:
    Delivery.objects.filter(state="retrying").update(next_attempt_at=timezone.now())
    Subscription.objects.update(open_until=None)


class TestTheOutbox:
    def test_a_committed_event_is_delivered(self, paywall: Paywall, receiver: Receiver) -> None:
        subscription = subscribe(paywall, receiver.url)
        assert archived(paywall) == 1
        assert deliver() == 1
        [request] = receiver.requests
        delivery = Delivery.objects.get()
        assert request.delivery["id"] == delivery.public_id
        assert request.delivery["subscriptionId"] == subscription.public_id
        assert request.delivery["attempts"] == 1
        assert set(request.delivery) == {"id", "subscriptionId", "attempts", "createdAt", "updatedAt"}
        assert set(request.event) == {
            "id", "paywallId", "ownerUserId", "type", "version", "status", "createdAt", "trigger", "subject",
            "data", "metadata",
        }  # fmt: skip
        assert request.event["data"] == {
            "paywallId": paywall.public_id,
            "ownerUserId": paywall.tenant.public_id,
            "reason": "moved",
        }
        assert request.headers["x-paywalls-event"] == "paywall.archived@2024-05-01"
        assert (delivery.state, delivery.response_status, delivery.response_body) == ("succeeded", 200, "ok")

    def test_what_is_rolled_back_is_never_sent(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url)
        with transaction.atomic():
            archived(paywall)
            transaction.set_rollback(True)
        assert not Event.objects.exists()
        assert deliver() == 0

    def test_money_that_is_rolled_back_tells_nobody(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url)
        with transaction.atomic():
            ledger.deposit(UserRef(paywall.pk, "alice"), NANO, source="deposit:1")
            transaction.set_rollback(True)
        assert not Event.objects.exists()

    def test_nothing_is_written_that_nobody_wants(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url, ["paywall.balance.*"])
        services.deactivate(subscribe(paywall, receiver.url))
        subscribe(make_paywall(), receiver.url)
        assert archived(paywall) == 0
        assert not Event.objects.exists()

    def test_each_subscription_gets_its_own_delivery_of_one_event(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        for events in (["*"], ["paywall.archived"], ["paywall.*"]):
            subscribe(paywall, receiver.url, events)
        assert archived(paywall) == 3
        deliver()
        assert len({request.event["id"] for request in receiver.requests}) == 1
        assert len({request.delivery["id"] for request in receiver.requests}) == 3

    def test_a_draft_with_other_fields_than_the_catalogue_is_no_event(self) -> None:
        with pytest.raises(ValueError, match="archived takes"):
            Draft("paywall.archived", {"why": "moved"}, Subject("paywall", "pw_1"))


class TestRetries:
    def test_a_failed_attempt_comes_again_with_the_same_event(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (500, b"not now")
        before = timezone.now()
        deliver()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.error) == ("retrying", "HTTP 500")
        assert delivery.next_attempt_at
        assert timedelta(seconds=24) <= delivery.next_attempt_at - before <= timedelta(seconds=40)
        assert deliver() == 0
        receiver.answer = (200, b"")
        due_now()
        assert deliver() == 1
        first, second = receiver.requests
        assert first.event == second.event
        assert (first.delivery["attempts"], second.delivery["attempts"]) == (1, 2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == first.event["id"]
        event = Event.objects.get()
        assert bytes(event.body) in first.body
        assert bytes(event.body) in second.body

    def test_it_ends_after_the_last_attempt(
        self, paywall: Paywall, receiver: Receiver, settings: Any
    ) -> None:
        settings.WEBHOOK_MAX_ATTEMPTS = 3
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (503, b"")
        for _ in range(5):
            deliver()
            due_now()
        assert len(receiver.requests) == 3
        assert Delivery.objects.get().state == "exhausted"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
    def test_final_statuses_end_a_delivery_at_once(
        self, status: int, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (status, b"no")
        deliver()
        due_now()
        deliver()
        assert len(receiver.requests) == 1
        assert Delivery.objects.get().state == "refused"

    def test_an_endpoint_that_has_not_switched_to_the_new_secret_yet_is_asked_again(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        services.rotate(subscribe(paywall, receiver.url))
        archived(paywall)
        receiver.answer = (401, b"bad signature")
        deliver()
        assert Delivery.objects.get().state == "retrying"

    @pytest.mark.parametrize(
        ("asked", "least", "most"), [("120", 118, 121), ("999999", 3_590, 3_601), ("x", 23, 37)]
    )
    def test_retry_after_is_honored_within_reason(
        self, asked: str, least: int, most: int, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (429, b"", {"Retry-After": asked})
        deliver()
        moment = Delivery.objects.get().next_attempt_at
        assert moment
        assert least <= (moment - timezone.now()).total_seconds() <= most

    def test_a_redirect_is_not_followed(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
        deliver()
        assert len(receiver.requests) == 1
        assert Delivery.objects.get().error == "HTTP 302"

    def test_an_owner_can_ask_for_a_finished_delivery_again(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (410, b"gone")
        deliver()
        receiver.answer = (200, b"")
        services.retry(Delivery.objects.select_related("subscription").get())
        deliver()
        assert Delivery.objects.get().state == "succeeded"

    def test_an_inactive_subscription_gets_nothing_and_catches_up_when_it_is_back(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscription = subscribe(paywall, receiver.url)
        archived(paywall)
        services.deactivate(subscription)
        assert deliver() == 0
        services.update(subscription, {"isActive": True})
        assert deliver() == 1


class TestLeases:
    """Two workers, one that died, one that comes late."""

    def test_of_many_workers_each_delivery_goes_to_one(self, paywall: Paywall, receiver: Receiver) -> None:
        for _ in range(6):
            subscribe(paywall, receiver.url)
        for number in range(5):
            archived(paywall, str(number))
        at_once(4, deliver)
        while deliver():
            pass
        assert len(receiver.requests) == 30
        assert len({request.delivery["id"] for request in receiver.requests}) == 30

    def test_what_a_dead_worker_had_is_sent_again(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        [claim] = claims.claim(Queue.PROMPT, 10)
        assert deliver() == 0
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert deliver() == 1
        assert Delivery.objects.get().state == "succeeded"
        # The first worker wakes up again, after all.
        recording.record([(claim, sending.Result(500, 10, error="HTTP 500"))])
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.response_status) == ("succeeded", 200)
        assert Subscription.objects.get().consecutive_failures == 0

    def test_an_endpoint_has_few_in_flight_whoever_claims(self, paywall: Paywall, receiver: Receiver) -> None:
        subscribe(paywall, receiver.url)
        for number in range(20):
            archived(paywall, str(number))
        taken = [len(claims.claim(Queue.PROMPT, 100)) for _ in range(3)]
        assert taken == [claims.IN_FLIGHT_WELL, 0, 0]

    def test_one_endpoint_with_a_long_queue_hides_no_other(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        busy = subscribe(paywall, receiver.url)
        for number in range(50):
            archived(paywall, str(number))
        quiet = [subscribe(paywall, receiver.url) for _ in range(5)]
        archived(paywall, "last")
        claimed = [claim.subscription_id for claim in claims.claim(Queue.PROMPT, 6)]
        assert sorted(claimed) == sorted([busy.pk, *(row.pk for row in quiet)])


class TestWhatIsKept:
    def test_of_a_huge_answer_with_nul_bytes_16_kb_are_kept(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url)
        archived(paywall)
        receiver.answer = (200, b"\0a" * 5_000_000)
        deliver()
        delivery = Delivery.objects.get()
        assert delivery.state == "succeeded"
        assert 0 < len(delivery.response_body) <= 16 * 1024
        assert set(delivery.response_body) == {"a"}

    def test_custom_headers_go_along_and_replace_none_of_ours(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        subscribe(paywall, receiver.url, custom_headers={"Authorization": "Bearer mine", "X-Team": "blue"})
        archived(paywall)
        deliver()
        headers = receiver.requests[0].headers
        assert (headers["authorization"], headers["x-team"]) == ("Bearer mine", "blue")
        assert headers["content-type"] == "application/json"

    def test_a_secret_that_no_key_reads_stops_its_own_deliveries_only(
        self, paywall: Paywall, receiver: Receiver
    ) -> None:
        broken = subscribe(paywall, receiver.url)
        Subscription.objects.filter(pk=broken.pk).update(secret="gAAAAA-unreadable")
        subscribe(paywall, receiver.url)
        archived(paywall)
        deliver()
        assert len(receiver.requests) == 1
        assert Delivery.objects.get(subscription=broken).error.startswith("not sent: UndecryptableSecret")


class TestFailingEndpoints:
    def fail(self, receiver: Receiver, paywall: Paywall, times: int) -> None:
        receiver.answer = (500, b"")
        for number in range(times):
            archived(paywall, str(number))
            deliver()

    def test_an_open_breaker_spends_no_attempts(self, paywall: Paywall, receiver: Receiver) -> None:
        subscription = subscribe(paywall, receiver.url)
        self.fail(receiver, paywall, 5)
        subscription.refresh_from_db()
        assert subscription.open_until
        assert subscription.open_until > timezone.now()
        archived(paywall, "while open")
        assert deliver() == 0
        assert Delivery.objects.order_by("id").last().attempts == 0  # type: ignore[union-attr]
        # Half-open: one goes, and its success closes the breaker.
        Subscription.objects.update(open_until=timezone.now())
        receiver.answer = (200, b"")
        assert len(claims.claim(Queue.SLOW, 100)) == 1
        Delivery.objects.filter(state="in_flight").update(lease_until=timezone.now())
        deliver()
        subscription.refresh_from_db()
        assert (subscription.consecutive_failures, subscription.open_until) == (0, None)

    def test_days_of_failure_deactivate_alert_and_write_to_the_tenant(
        self, paywall: Paywall, receiver: Receiver, caplog: Any
    ) -> None:
        subscription = subscribe(paywall, receiver.url)
        receiver.answer = (410, b"gone")
        for number in range(3):
            archived(paywall, str(number))
            deliver()
        subscription.refresh_from_db()
        assert subscription.is_active
        Subscription.objects.update(failing_since=timezone.now() - timedelta(days=6))
        archived(paywall, "last straw")
        deliver()
        subscription.refresh_from_db()
        assert not subscription.is_active
        assert subscription.disabled_reason.startswith("no delivery succeeded since")
        [letter] = mail.outbox
        assert letter.to == [paywall.tenant.email]
        assert subscription.public_id in letter.body
        assert "webhook endpoint deactivated" in caplog.text
        assert subscription.public_id in OperatorAlert.objects.get(kind="webhooks").text

    def test_only_deliveries_that_ended_deactivate(self, paywall: Paywall, receiver: Receiver) -> None:
        subscription = subscribe(paywall, receiver.url)
        self.fail(receiver, paywall, 4)
        Subscription.objects.update(failing_since=timezone.now() - timedelta(days=6), open_until=None)
        archived(paywall, "one more that will be tried again")
        deliver()
        subscription.refresh_from_db()
        assert subscription.is_active
        assert subscription.failed_deliveries == 0

    def test_a_hundred_that_wait_hide_no_failure(self, paywall: Paywall, receiver: Receiver) -> None:
        subscription = subscribe(paywall, receiver.url)
        self.fail(receiver, paywall, 1)
        Delivery.objects.update(attempts=7)
        Subscription.objects.update(failing_since=timezone.now() - timedelta(days=6), failed_deliveries=2)
        for number in range(100):
            archived(paywall, str(number))
        Delivery.objects.filter(state="pending").update(next_attempt_at=timezone.now() + timedelta(hours=1))
        due_now()
        deliver()
        subscription.refresh_from_db()
        assert not subscription.is_active


def test_a_claim_costs_the_same_with_a_long_queue(paywall: Paywall, receiver: Receiver) -> None:
    """The plan walks the index endpoint by endpoint, whatever waits behind."""
    subscription = subscribe(paywall, receiver.url)
    archived(paywall)
    event = Event.objects.get()
    with connection.cursor() as cursor:
        statement = outbox.insert_deliveries(
            [(uuid.uuid4(), event.pk, subscription.pk) for _ in range(20_000)]
        )
        cursor.execute(statement.text, statement.params)
        cursor.execute("ANALYZE webhooks_delivery")
    started = timezone.now()
    assert len(claims.claim(Queue.PROMPT, 10)) == claims.IN_FLIGHT_WELL
    assert timezone.now() - started < timedelta(milliseconds=500)
