"""Idempotency-Key on requests to models: one charge, whatever a client repeats."""

import uuid

import pytest
from django.utils import timezone

from config import ids
from config.money import NANO
from ledger import requests, services
from ledger.errors import KeyTaken
from ledger.models import Hold, ProxyRequest, ReconciliationItem, RequestKey
from ledger.operations import Capture, Claim, PlaceHold, Release
from ledger.posting import post, post_one
from paywalls.users import UserRef
from tests.factories import make_paywall

pytestmark = pytest.mark.django_db

ABOUT = '{"paywall": "%s", "user": "alice", "model": "m", "surface": "chat", "streamed": false}'


@pytest.fixture
def alice() -> UserRef:
    return UserRef(make_paywall(trial_credit=NANO).pk, "alice")


def hold(alice: UserRef, body: str = "b", *, key: str = "k", seconds: float = 60) -> PlaceHold:
    claim = Claim(alice.paywall_id, "alice", key, body)
    about = ABOUT % alice.paywall_id
    return PlaceHold(alice, ids.new(), 1_000, seconds, claim=claim, about=about)


def refused(operation: PlaceHold) -> tuple[uuid.UUID, str, bool]:
    with pytest.raises(KeyTaken) as taken:
        post_one(operation)
    return taken.value.request_id, taken.value.state, taken.value.same


def test_a_key_in_flight_and_a_charged_one_are_taken(alice: UserRef) -> None:
    first = hold(alice)
    post_one(first)
    assert refused(hold(alice)) == (first.hold_id, "open", True)
    assert refused(hold(alice, "another body")) == (first.hold_id, "open", False)
    post_one(hold(alice, key="another"))
    post_one(Capture(alice, first.hold_id, 10, f"usage:{first.hold_id.hex}", answer="token"))
    assert refused(hold(alice)) == (first.hold_id, "captured", True)
    assert RequestKey.objects.get(pk=first.hold_id).answer == "token"


def test_of_one_batch_one_holds(alice: UserRef) -> None:
    outcomes = post([hold(alice) for _ in range(50)])
    assert sum(not isinstance(outcome, KeyTaken) for outcome in outcomes) == 1
    assert Hold.objects.count() == 1


def test_a_request_that_charged_nothing_frees_its_key_also_for_another_body(alice: UserRef) -> None:
    first = hold(alice)
    post_one(first)
    post_one(Release(alice, first.hold_id))
    second = hold(alice, "another body")
    post_one(second)
    assert RequestKey.objects.get().pk == second.hold_id


def test_a_lost_request_keeps_its_key_until_it_is_closed_without_a_charge(alice: UserRef) -> None:
    first = hold(alice, seconds=-1)
    post_one(first)
    assert services.sweep_stale_holds() == 1
    row = ProxyRequest.objects.get()
    assert (row.pk, row.status, row.model, row.external_id) == (first.hold_id, "lost", "m", "alice")
    assert refused(hold(alice)) == (first.hold_id, "expired", True)
    ReconciliationItem.objects.update(state="released", closed_at=timezone.now())
    post_one(hold(alice))


def test_after_a_day_a_key_is_forgotten(alice: UserRef) -> None:
    first = hold(alice)
    post_one(first)
    post_one(Capture(alice, first.hold_id, 10, f"usage:{first.hold_id.hex}"))
    RequestKey.objects.update(created_at=timezone.now() - requests.KEYS_KEPT)
    assert requests.forget_keys() == 1
    assert (requests.forget_keys(), RequestKey.objects.count()) == (0, 0)
    post_one(hold(alice))
