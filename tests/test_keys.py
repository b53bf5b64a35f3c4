"""Paywall keys: 256 random bits, stored as a hash, found while live, and named by either header."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from paywalls import keys
from paywalls.errors import InvalidSetting
from paywalls.keys import Kind
from paywalls.models import PaywallKey
from proxy import snapshot
from tests.factories import make_paywall

pytestmark = pytest.mark.django_db


def test_a_key_is_a_prefix_and_256_random_bits() -> None:
    plain = keys.issue_key(make_paywall())
    assert re.fullmatch(r"sk-paywalls-[A-Za-z0-9_-]{43}", plain)
    assert plain != keys.generate()


def test_only_the_hash_and_the_last_four_are_stored() -> None:
    plain = keys.issue_key(make_paywall())
    [stored] = PaywallKey.objects.values()
    assert stored["digest"] == keys.digest(plain)
    assert re.fullmatch("[0-9a-f]{64}", stored["digest"])
    assert stored["last_four"] == plain[-4:]
    assert not any(plain[12:] in str(value) for value in stored.values())


def test_find_answers_the_key_with_paywall_and_tenant_in_one_query(django_assert_num_queries: Any) -> None:
    paywall = make_paywall()
    plain = keys.issue_key(paywall)
    with django_assert_num_queries(1):
        found = keys.find(plain)
        assert found is not None
        assert found.paywall == paywall
        assert found.paywall.tenant == paywall.tenant


def test_a_paywall_may_have_several_live_keys() -> None:
    paywall = make_paywall()
    assert {keys.find(keys.issue_key(paywall)).paywall for _ in range(3)} == {paywall}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "plain", ["", "sk-paywalls-", "sk-paywalls-" + "x" * 43, "ä" * 10_000, "\ud800", "\x00"]
)
def test_an_unknown_key_is_not_found(plain: str) -> None:
    assert keys.find(plain) is None


def test_a_revoked_key_is_not_found_and_is_revoked_once() -> None:
    paywall = make_paywall()
    plain, other = keys.issue_key(paywall), keys.issue_key(paywall)
    key = keys.find(plain)
    assert key is not None

    assert keys.revoke_key(key) is True
    assert keys.find(plain) is None
    assert keys.find(other) is not None
    first = key.revoked_at
    assert first is not None

    assert keys.revoke_key(key) is False
    assert key.revoked_at == first


def rotate(plain: str, overlap_seconds: int) -> str | None:
    key = PaywallKey.objects.get(digest=keys.digest(plain))
    return keys.rotate_key(key, actor_type="operator", actor_id="root", overlap_seconds=overlap_seconds)


def test_a_rotated_key_works_until_its_overlap_ends() -> None:
    old = keys.issue_key(make_paywall())
    new = rotate(old, 3600)
    assert new
    assert keys.find(old)
    assert keys.find(new)
    PaywallKey.objects.filter(digest=keys.digest(old)).update(expires_at=Now())
    assert keys.find(old) is None
    assert keys.find(new)


def test_a_second_rotation_lengthens_no_overlap_and_a_dead_key_brings_forth_none() -> None:
    old = keys.issue_key(make_paywall())
    rotate(old, 60)
    first = PaywallKey.objects.get(digest=keys.digest(old)).expires_at
    rotate(old, 3600)
    assert PaywallKey.objects.get(digest=keys.digest(old)).expires_at == first
    PaywallKey.objects.filter(digest=keys.digest(old)).update(expires_at=Now())
    assert rotate(old, 3600) is None


def test_without_an_overlap_the_old_key_dies_at_once() -> None:
    old = keys.issue_key(make_paywall(), Kind.PUBLISHABLE)
    new = rotate(old, 0)
    assert new
    assert new.startswith("pk-paywalls-")
    assert keys.find(old) is None


@pytest.mark.parametrize("seconds", [-1, keys.MAX_OVERLAP_SECONDS + 1])
def test_an_overlap_is_bounded(seconds: int) -> None:
    with pytest.raises(InvalidSetting, match="must be from 0"):
        rotate(keys.issue_key(make_paywall()), seconds)


def test_the_gateway_looks_again_at_a_key_whose_overlap_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, loads = keys.generate(), []
    known = SimpleNamespace(key_ends=1_000.0)

    async def load(_: Any, key: str) -> Any:
        loads.append(key)
        return known

    now = 999.0
    monkeypatch.setattr(snapshot, "in_thread", load)
    monkeypatch.setattr(snapshot.time, "time", lambda: now)
    cache = snapshot.Snapshots()
    for _ in range(2):
        assert asyncio.run(cache.get(plain)) is known
    assert len(loads) == 1
    now = 1_000.0
    asyncio.run(cache.get(plain))
    assert len(loads) == 2


def test_a_key_made_elsewhere_is_registered_once() -> None:
    paywall, plain = make_paywall(), keys.generate()
    assert keys.register_key(paywall, plain) == keys.register_key(paywall, plain)
    assert keys.find(plain).paywall == paywall  # type: ignore[union-attr]
    assert PaywallKey.objects.count() == 1


def test_a_key_of_another_paywall_or_a_revoked_one_is_not_registered() -> None:
    paywall, plain = make_paywall(), keys.generate()
    key = keys.register_key(paywall, plain)
    with pytest.raises(InvalidSetting, match="is another paywall's key"):
        keys.register_key(make_paywall(), plain)
    keys.revoke_key(key)
    with pytest.raises(InvalidSetting, match="was revoked; make another one"):
        keys.register_key(paywall, plain)


@pytest.mark.parametrize("plain", ["", "secret", "sk-paywalls-short", "sk-openai-" + "x" * 43])
def test_a_guessable_key_is_not_registered(plain: str) -> None:
    with pytest.raises(InvalidSetting, match="256 random bits"):
        keys.register_key(make_paywall(), plain)


# --- In a request ------------------------------------------------------------------------------------------


class WhoAmI(APIView):
    """A view of the REST API as every one is: with the default authentication and permission."""

    def get(self, request: Request) -> Response:
        return Response({"paywall": request.auth.public_id, "key": str(request.user.key)})


def ask(**headers: str) -> Any:
    response = WhoAmI.as_view()(RequestFactory().get("/", headers=headers))
    response.render()
    return response


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {key}"},
        {"Authorization": "bearer   {key} "},
        {"X-API-Key": "{key}"},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": "{key}"},
        {"Authorization": "Bearer {key}", "X-API-Key": "another"},
        {"Authorization": "Bearer", "X-API-Key": "{key}"},
    ],
)
def test_the_key_names_the_paywall(headers: dict[str, str]) -> None:
    paywall = make_paywall()
    plain = keys.issue_key(paywall)
    response = ask(**{name: value.format(key=plain) for name, value in headers.items()})
    assert response.status_code == 200
    assert response.data == {"paywall": paywall.public_id, "key": f"sk-paywalls-…{plain[-4:]}"}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "You didn't provide a paywall key. Send it as 'Authorization: Bearer sk-paywalls-…'"),
        ({"Authorization": "Bearer "}, "You didn't provide a paywall key."),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "You didn't provide a paywall key."),
        ({"Authorization": "Bearer sk-paywalls-wrong"}, "The paywall key is unknown or was revoked."),
        ({"X-API-Key": "sk-paywalls-wrong"}, "The paywall key is unknown or was revoked."),
    ],
)
def test_without_a_live_key_the_answer_is_401_and_says_what_to_change(
    headers: dict[str, str], message: str
) -> None:
    response = ask(**headers)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    error = response.data["error"]
    assert error["message"].startswith(message)
    assert (error["type"], error["code"], error["param"]) == ("authentication_error", "invalid_api_key", None)


def test_a_revoked_key_is_refused_on_the_next_request() -> None:
    plain = keys.issue_key(make_paywall())
    assert ask(Authorization=f"Bearer {plain}").status_code == 200
    keys.revoke_key(PaywallKey.objects.get())
    assert ask(Authorization=f"Bearer {plain}").status_code == 401
