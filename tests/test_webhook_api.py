"""The webhooks API, as a paywall's owner uses it with the paywall's key."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.app import App, refusal
from tests.receiver import Receiver
from tests.test_webhook_delivery import archived, deliver
from webhooks import catalogue, signing
from webhooks.drafts import stamp
from webhooks.models import Delivery, Event, Subscription

pytestmark = pytest.mark.django_db(transaction=True)

SUBSCRIPTIONS, LOGS = "/v1/webhooks/subscriptions", "/v1/webhooks/logs"
HOOK = {"url": "https://example.com/hook", "events": ["*"]}


@pytest.fixture(autouse=True)
def _loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def app() -> App:
    return App()


def send(app: App, method: str, path: str, body: Any = None) -> Any:
    data = json.dumps(body) if body is not None else ""
    return app.call(method, path, data=data, content_type="application/json")


def make(app: App, **members: Any) -> Any:
    answer = send(app, "POST", SUBSCRIPTIONS, {**HOOK, **members})
    assert answer.status_code == 201, answer.content
    return answer.json()["subscription"]


def get(app: App, path: str) -> Any:
    answer = send(app, "GET", path)
    assert answer.status_code == 200, answer.content
    return answer.json()


class TestSubscriptions:
    def test_the_whole_secret_is_answered_once(self, app: App) -> None:
        made = make(app, description="ours", customHeaders={"X-Team": "blue"})
        secret = made["secret"]
        assert secret.startswith("whsec_")
        assert made["secretSuffix"] == secret[-6:]
        assert signing.key_of(secret)
        [listed] = get(app, SUBSCRIPTIONS)["subscriptions"]
        assert listed == {name: value for name, value in made.items() if name != "secret"}
        assert secret not in str(Subscription.objects.values().get())
        assert {"id", "paywallId", "url", "events", "isActive", "createdAt", "updatedAt", "createdBy"} <= set(
            listed
        )
        assert listed["createdBy"] == f"sk-paywalls-…{app.key[-4:]}"

    def test_an_own_secret_is_taken(self, app: App) -> None:
        assert make(app, secret="0123456789abcdef")["secret"] == "0123456789abcdef"

    def test_delete_deactivates_and_patch_brings_it_back(self, app: App) -> None:
        path = f"{SUBSCRIPTIONS}/{make(app)['id']}"
        answer = send(app, "DELETE", path).json()
        assert answer["deactivated"] is True
        assert answer["subscription"]["isActive"] is False
        assert get(app, f"{SUBSCRIPTIONS}?status=active")["subscriptions"] == []
        assert len(get(app, f"{SUBSCRIPTIONS}?status=inactive")["subscriptions"]) == 1
        changed = send(app, "PATCH", path, {"isActive": True, "events": ["paywall.balance.*"]})
        assert changed.json()["subscription"]["isActive"] is True
        assert get(app, path)["subscription"]["events"] == ["paywall.balance.*"]

    def test_nobody_sees_or_changes_anothers(self, app: App) -> None:
        other = App()
        path = f"{SUBSCRIPTIONS}/{make(other)['id']}"
        assert get(app, SUBSCRIPTIONS)["subscriptions"] == []
        for method, tail in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/rotate"),
            ("POST", "/test"),
        ):
            refusal(send(app, method, path + tail, {}), 404)
        assert get(other, path)["subscription"]["isActive"] is True

    @pytest.mark.parametrize("path", ["sub_x", "pw_0", "sub_" + "0" * 32, "…"])
    def test_an_unknown_one_is_404(self, app: App, path: str) -> None:
        refusal(send(app, "GET", f"{SUBSCRIPTIONS}/{path}"), 404)

    @pytest.mark.parametrize(
        ("param", "members"),
        [
            ("url", {"url": None}),
            ("url", {"url": 7}),
            ("url", {"url": "ftp://example.com"}),
            ("url", {"url": "http://example.com:99999/"}),
            ("url", {"url": "https://user:pass@example.com/"}),
            ("url", {"url": "https://example.com/#part"}),
            ("url", {"url": "https://example.com/a b"}),
            ("url", {"url": "https://10.0.0.1/"}),
            ("url", {"url": "http://8.8.8.8/"}),
            ("url", {"url": "https://[::ffff:10.0.0.1]/"}),
            ("url", {"url": "https://example.com/" + "a" * 2048}),
            ("events", {"events": []}),
            ("events", {"events": "*"}),
            ("events", {"events": [7]}),
            ("events", {"events": ["*", "paywall.updated"]}),
            ("events", {"events": ["paywall.nothing"]}),
            ("events", {"events": ["nothing.*"]}),
            ("events", {"events": ["paywall.ping"]}),
            ("events", {"events": None}),
            ("description", {"description": "x" * 513}),
            ("description", {"description": "nul\0"}),
            ("customHeaders", {"customHeaders": {f"X-{number}": "a" for number in range(11)}}),
            ("customHeaders", {"customHeaders": {"Connection": "close"}}),
            ("customHeaders", {"customHeaders": {"transfer-encoding": "chunked"}}),
            ("customHeaders", {"customHeaders": {"Host": "example.com"}}),
            ("customHeaders", {"customHeaders": {"X-Paywalls-Signature": "forged"}}),
            ("customHeaders", {"customHeaders": {"Webhook-Signature": "forged"}}),
            ("customHeaders", {"customHeaders": {"X-A": "a\r\nX-B: b"}}),
            ("customHeaders", {"customHeaders": {"X A": "a"}}),
            ("customHeaders", {"customHeaders": {"X-A": 1}}),
            ("customHeaders", {"customHeaders": {"X-A": "1", "x-a": "2"}}),
            ("customHeaders", {"customHeaders": ["X-A"]}),
            ("secret", {"secret": "too short"}),
            ("secret", {"secret": "whsec_not base64!!!!"}),
            ("secret", {"secret": 7}),
            ("surprise", {"surprise": True}),
        ],
    )
    def test_what_is_wrong_is_named(self, app: App, param: str, members: dict[str, Any]) -> None:
        message = refusal(send(app, "POST", SUBSCRIPTIONS, {**HOOK, **members}), 400, param)
        assert message.startswith(f"{param}: ")
        assert not Subscription.objects.exists()

    def test_patch_obeys_the_same_rules(self, app: App) -> None:
        path = f"{SUBSCRIPTIONS}/{make(app)['id']}"
        for param, members in (
            ("url", {"url": "http://10.0.0.1"}),
            ("isActive", {"isActive": "yes"}),
            ("secret", {"secret": "0123456789abcdef"}),
            ("id", {"id": "sub_1"}),
        ):
            refusal(send(app, "PATCH", path, members), 400, param)

    def test_without_a_key_nothing_is_shown(self, app: App) -> None:
        app.key = "sk-paywalls-nobodys"
        refusal(send(app, "GET", SUBSCRIPTIONS), 401)

    def test_a_change_of_what_is_wanted_moves_the_paywalls_version(self, app: App) -> None:
        def version() -> int:
            app.paywall.refresh_from_db()
            return app.paywall.config_version

        seen = [version()]
        made = make(app)
        path = f"{SUBSCRIPTIONS}/{made['id']}"
        for change in ({"events": ["paywall.updated"]}, {"isActive": False}):
            seen.append(version())
            send(app, "PATCH", path, change)
        seen.append(version())
        assert seen == sorted(set(seen))
        send(app, "PATCH", path, {"description": "moves nothing"})
        Subscription.objects.update(consecutive_failures=3)
        assert version() == seen[-1]


class TestRotation:
    def test_answers_the_new_secret_once(self, app: App) -> None:
        made = make(app)
        answer = send(app, "POST", f"{SUBSCRIPTIONS}/{made['id']}/rotate").json()
        assert answer["subscription"]["secret"] != made["secret"]
        assert answer["previousSecretValidUntil"] > stamp(timezone.now() + timedelta(hours=23))
        assert "secret" not in get(app, f"{SUBSCRIPTIONS}/{made['id']}")["subscription"]


class TestPing:
    def test_is_delivered_now_and_its_outcome_answered(self, app: App) -> None:
        with Receiver() as receiver:
            made = make(app, url=receiver.url, events=["paywall.updated"])
            answer = send(app, "POST", f"{SUBSCRIPTIONS}/{made['id']}/test").json()
            assert answer["success"] is True
            assert answer["delivery"]["responseCode"] == 200
            assert receiver.types == ["paywall.ping"]
            receiver.answer = (500, b"broken")
            answer = send(app, "POST", f"{SUBSCRIPTIONS}/{made['id']}/test").json()
            assert answer["success"] is False
            assert answer["delivery"]["error"] == "HTTP 500"
            assert answer["delivery"]["responseBody"] == "broken"
            assert deliver() == 0
            assert len(receiver.requests) == 2

    def test_an_address_that_answers_nothing(self, app: App) -> None:
        made = make(app, url="http://127.0.0.1:9/hook")
        answer = send(app, "POST", f"{SUBSCRIPTIONS}/{made['id']}/test").json()
        assert answer["success"] is False
        assert answer["delivery"]["error"].startswith("connection failed")


class TestTheLog:
    @pytest.fixture
    def story(self, app: App) -> Any:
        """Two endpoints; one is well, one says no."""
        with Receiver() as well, Receiver() as gone:
            gone.answer = (410, b"gone")
            first, second = make(app, url=well.url), make(app, url=gone.url)
            for number in range(3):
                archived(app.paywall, str(number))
            deliver()
            yield first, second

    def test_has_filters(self, app: App, story: Any) -> None:
        first, second = story
        logs = get(app, LOGS)["logs"]
        assert len(logs) == 6
        assert {"id", "subscriptionId", "status", "attempts", "createdAt", "updatedAt", "event"} <= set(
            logs[0]
        )
        assert {log["subscriptionId"] for log in get(app, f"{LOGS}?status=success")["logs"]} == {first["id"]}
        assert {log["subscriptionId"] for log in get(app, f"{LOGS}?status=error")["logs"]} == {second["id"]}
        assert get(app, f"{LOGS}?status=pending")["logs"] == []
        assert len(get(app, f"{LOGS}?subscriptionId={second['id']}")["logs"]) == 3
        assert len(get(app, f"{LOGS}?eventType=paywall.archived")["logs"]) == 6
        assert get(app, f"{LOGS}?eventType=paywall.updated")["logs"] == []
        assert get(app, f"{LOGS}?subscriptionId=sub_x")["logs"] == []

    def test_pages_by_cursor(self, app: App, story: Any) -> None:
        seen: list[str] = []
        path = f"{LOGS}?limit=4"
        while True:
            page = get(app, path)
            seen += [log["id"] for log in page["logs"]]
            if page["nextCursor"] is None:
                break
            path = f"{LOGS}?limit=4&cursor={page['nextCursor']}"
        assert len(seen) == 6
        assert seen == sorted(set(seen), reverse=True)

    @pytest.mark.parametrize(
        ("param", "query"),
        [
            ("limit", "limit=0"),
            ("limit", "limit=101"),
            ("limit", "limit=000501"),
            ("limit", "limit=-1"),
            ("limit", "limit=ten"),
            ("status", "status=done"),
            ("eventType", "eventType=paywall.nothing"),
            ("cursor", "cursor=del_x"),
        ],
    )
    def test_refuses_filters_that_are_none(self, app: App, param: str, query: str) -> None:
        refusal(send(app, "GET", f"{LOGS}?{query}"), 400, param)

    def test_another_paywalls_log_is_its_own(self, app: App, story: Any) -> None:
        assert get(App(), LOGS)["logs"] == []

    def test_a_delivery_is_sent_again_on_request(self, app: App, story: Any) -> None:
        [log, *_] = get(app, f"{LOGS}?status=error")["logs"]
        retry = f"/v1/webhooks/deliveries/{log['id']}/retry"
        refusal(send(App(), "POST", retry), 404)
        assert send(app, "POST", retry).status_code == 202
        assert deliver() == 1
        Delivery.objects.filter(state="refused").update(
            state="in_flight", lease_token=app.paywall.pk, lease_until=timezone.now()
        )
        refusal(send(app, "POST", retry), 409)


class TestReplay:
    def test_sends_a_range_of_events_again_with_their_ids(self, app: App) -> None:
        with Receiver() as receiver:
            made = make(app, url=receiver.url)
            for number in range(5):
                archived(app.paywall, str(number))
            deliver()
            third = Event.objects.order_by("id")[2]
            answer = send(
                app, "POST", f"{SUBSCRIPTIONS}/{made['id']}/replay", {"since": stamp(third.created_at)}
            )
            assert answer.status_code == 202
            deliver()
            again = receiver.requests[5:]
            assert {request.event["id"] for request in again} <= {
                request.event["id"] for request in receiver.requests[:5]
            }
            assert len(again) == answer.json()["deliveries"] >= 3

    @pytest.mark.parametrize("since", [None, "yesterday", "2026-13-01T00:00:00Z", "2026-05-01T00:00:00", 7])
    def test_the_range_must_be_one(self, app: App, since: Any) -> None:
        path = f"{SUBSCRIPTIONS}/{make(app)['id']}/replay"
        refusal(send(app, "POST", path, {"since": since}), 400, "since")

    def test_an_inactive_subscription_is_sent_nothing(self, app: App) -> None:
        path = f"{SUBSCRIPTIONS}/{make(app)['id']}"
        send(app, "DELETE", path)
        refusal(send(app, "POST", f"{path}/replay", {"since": "2026-05-01T00:00:00Z"}), 409)


def test_the_catalogue_is_answered(app: App) -> None:
    listed = get(app, "/v1/webhooks/events")["events"]
    assert [event["type"] for event in listed] == list(catalogue.ALL)
    assert listed[0]["fields"] == ["paywallId", "ownerUserId", "changedFields", "summarySections"]
