"""Tokens of an app's identity provider: only what its keys signed, for this paywall, now."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from config.errors import ApiError
from paywalls import jwks, usertokens
from paywalls.identity import InvalidUser
from paywalls.jwks import IssuerAway, KeySets
from paywalls.usertokens import InvalidUserToken
from tests.issuer import AUDIENCE, Issuer, jwk, make_key
from tests.threads import in_threads


@pytest.fixture(autouse=True)
def _own_keys(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached yet, and loopback may be asked."""
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(jwks, "key_sets", KeySets())


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as made:
        yield made


class Clock:
    """The time that caches see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(jwks, "time", self)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def user_of(issuer: Issuer, token: str) -> str:
    return usertokens.user_of_blocking(token, named(issuer))


def named(issuer: Issuer) -> usertokens.Issuer:
    return usertokens.Issuer("https://id.acme.test", AUDIENCE, issuer.url)


def refusal(issuer: Issuer, token: str) -> str:
    with pytest.raises(InvalidUserToken) as refused:
        user_of(issuer, token)
    assert (refused.value.status, refused.value.code) == (401, "invalid_user_token")
    return refused.value.message


# --- Good tokens -------------------------------------------------------------------------------------------


def test_the_subject_is_the_user(issuer: Issuer) -> None:
    assert user_of(issuer, issuer.token("alice")) == "alice"


def test_the_event_loop_gets_the_same_answer(issuer: Issuer) -> None:
    assert asyncio.run(usertokens.user_of(issuer.token("alice"), named(issuer))) == "alice"


@pytest.mark.parametrize("alg", ["RS256", "PS512", "ES256", "ES384", "EdDSA"])
def test_the_usual_algorithms_are_taken(issuer: Issuer, alg: str) -> None:
    key = make_key(alg)
    issuer.keys = [jwk(key, "k")]
    assert user_of(issuer, issuer.token(key=key, alg=alg, headers={"kid": "k"})) == "alice"


def test_a_list_of_audiences_and_a_small_difference_of_clocks_are_fine(issuer: Issuer) -> None:
    now = time.time()
    assert user_of(issuer, issuer.token(aud=["other", AUDIENCE], nbf=now + 10, iat=now + 10)) == "alice"
    assert user_of(issuer, issuer.token(exp=now - 10)) == "alice"


def test_a_token_without_a_key_id_is_fine_where_the_issuer_has_one_key(issuer: Issuer) -> None:
    token = issuer.token(headers={"kid": None})
    assert user_of(issuer, token) == "alice"


# --- Bad ones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1_000_000_000}, "has expired"),
        ({"nbf": 4_000_000_000}, "is not valid yet"),
        ({"aud": "another-app"}, "is for another audience"),
        ({"iss": "https://id.evil.test"}, "is of another issuer"),
        ({"iss": "https://id.acme.test/"}, "is of another issuer"),
        ({"drop": ("sub",)}, "lacks the claim sub"),
        ({"drop": ("exp",)}, "lacks the claim exp"),
        ({"drop": ("aud",)}, "lacks the claim aud"),
        ({"drop": ("iss",)}, "lacks the claim iss"),
        ({"sub": 42}, "has a sub that is no string"),
        ({"exp": "soon"}, "can't be read"),
    ],
)
def test_what_a_token_says_must_fit(issuer: Issuer, claims: dict[str, Any], why: str) -> None:
    assert why in refusal(issuer, issuer.token(**claims))


@pytest.mark.parametrize("sub", ["", "x" * 129, "a\x00b"])
def test_a_subject_that_is_no_id_is_refused(issuer: Issuer, sub: str) -> None:
    with pytest.raises(InvalidUser):
        user_of(issuer, issuer.token(sub))


def test_no_signature_is_no_token(issuer: Issuer) -> None:
    unsigned = jwt.encode({**claims_of(issuer), "sub": "alice"}, "", "none", {"kid": issuer.kid})
    assert "algorithm" in refusal(issuer, unsigned)


def claims_of(issuer: Issuer) -> dict[str, Any]:
    return jwt.decode(issuer.token(), options={"verify_signature": False})


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_public_key_is_no_shared_secret(issuer: Issuer, kind: str) -> None:
    """HS256 with the public key's own bytes, which everybody has."""
    key = make_key(kind)
    issuer.keys = [jwk(key, "k")]
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': 'HS256', 'kid': 'k'})}.{part(claims_of(issuer))}"
    mac = base64.urlsafe_b64encode(hmac.digest(pem, signed.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert "algorithm" in refusal(issuer, f"{signed}.{mac}")


def test_a_secret_in_the_key_set_is_not_used(issuer: Issuer) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    issuer.keys = [{"kty": "oct", "kid": "k", "k": base64.urlsafe_b64encode(secret).decode()}]
    assert "doesn't list" in refusal(issuer, issuer.token(key=secret, alg="HS256", headers={"kid": "k"}))


def test_another_key_under_the_same_id_is_a_wrong_signature(issuer: Issuer) -> None:
    assert "wrong signature" in refusal(issuer, issuer.token(key=make_key("ES256")))


def test_a_key_signs_only_with_its_own_algorithm(issuer: Issuer) -> None:
    key = make_key("RS256")
    issuer.keys = [jwk(key, "k", alg="RS256")]
    assert "algorithm" in refusal(issuer, issuer.token(key=key, alg="RS512", headers={"kid": "k"}))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_keys_that_are_weak_or_not_for_signatures_are_not_used(issuer: Issuer) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issuer.keys = [jwk(weak, "weak"), jwk(issuer.key, "first", use="enc")]
    assert "doesn't list" in refusal(issuer, issuer.token(key=weak, alg="RS256", headers={"kid": "weak"}))
    assert "doesn't list" in refusal(issuer, issuer.token())


def test_without_a_key_id_and_with_two_keys_nobody_guesses(issuer: Issuer) -> None:
    issuer.keys = [jwk(issuer.key, "first"), jwk(make_key("ES256"), "other")]
    assert "doesn't list" in refusal(issuer, issuer.token(headers={"kid": None}))


@pytest.mark.parametrize("token", ["x", "a.b.c", "é.é.é", "." * 100, "x" * 9_000])
def test_what_is_no_token_is_refused_without_asking_anybody(issuer: Issuer, token: str) -> None:
    refusal(issuer, token)
    assert issuer.fetches == 0


def test_a_token_can_t_bring_its_own_key(issuer: Issuer) -> None:
    """`jwk` and `jku` in a header are where forgeries carry theirs."""
    forger = make_key("ES256")
    headers = {"jwk": jwk(forger, "first"), "jku": "https://evil.test/jwks.json"}
    assert "wrong signature" in refusal(issuer, issuer.token(key=forger, headers=headers))


# --- The issuer's keys -------------------------------------------------------------------------------------


def test_keys_are_fetched_once_for_all_that_wait(issuer: Issuer) -> None:
    issuer.delay.clear()
    token = issuer.token()

    def ask_or_let_it_answer(index: int) -> str:
        if index:
            return user_of(issuer, token)
        while not issuer.fetches:
            time.sleep(0.01)
        issuer.delay.set()
        return "alice"

    assert in_threads(9, ask_or_let_it_answer) == ["alice"] * 9
    assert user_of(issuer, token) == "alice"
    assert issuer.fetches == 1


def test_a_new_key_is_found_when_its_first_token_comes(issuer: Issuer, clock: Clock) -> None:
    old = issuer.token()
    assert user_of(issuer, old) == "alice"
    issuer.rotate()
    clock.now += jwks.MIN_INTERVAL
    assert user_of(issuer, issuer.token()) == "alice"
    assert "doesn't list" in refusal(issuer, old)


def test_made_up_key_ids_do_not_make_us_ask_again_and_again(issuer: Issuer, clock: Clock) -> None:
    user_of(issuer, issuer.token())
    for number in range(20):
        assert "doesn't list" in refusal(issuer, issuer.token(headers={"kid": f"made-up-{number}"}))
    assert issuer.fetches == 1


def test_known_keys_go_on_while_the_issuer_is_away_and_then_end(issuer: Issuer, clock: Clock) -> None:
    token = issuer.token(exp=time.time() + 10 * jwks.USABLE_FOR)
    user_of(issuer, token)
    issuer.answer = (500, b"")
    clock.now += jwks.REFRESH_AFTER
    assert user_of(issuer, token) == "alice"
    clock.now += jwks.USABLE_FOR
    with pytest.raises(IssuerAway) as away:
        user_of(issuer, token)
    assert (away.value.status, away.value.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize(
    "answer",
    [(500, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"keys": {}}'), (200, b" " * (jwks.MAX_BYTES + 1))],
)
def test_an_issuer_that_does_not_answer_with_keys_is_503(issuer: Issuer, answer: tuple[int, bytes]) -> None:
    issuer.answer = answer
    with pytest.raises(IssuerAway):
        user_of(issuer, issuer.token())


def test_an_unknown_key_of_an_issuer_that_went_away_is_503(issuer: Issuer, clock: Clock) -> None:
    """It may have been made since: refusing it for good would be wrong."""
    user_of(issuer, issuer.token())
    issuer.answer = (500, b"")
    clock.now += jwks.MIN_INTERVAL
    issuer.rotate()
    with pytest.raises(IssuerAway):
        user_of(issuer, issuer.token())


def test_an_address_inside_is_not_asked(issuer: Issuer, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    with pytest.raises(ApiError) as refused:
        user_of(issuer, issuer.token())
    assert isinstance(refused.value, IssuerAway)
    assert issuer.fetches == 0
