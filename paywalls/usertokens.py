"""Tokens that an app's identity provider gives its users: JSON Web Tokens, whose `sub` is the end user's id."""

import asyncio
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass

import jwt
from jwt.exceptions import InvalidSubjectError

from config.errors import ApiError
from paywalls import identity, jwks
from paywalls.jwks import SigningKey, UnknownSigningKey

HEADER = "x-paywall-user-token"
MAX_TOKEN = 8_192
# Seconds that two machines' clocks may differ.
LEEWAY = 30
# A token waits this long for its issuer's keys.
PATIENCE = jwks.FETCH_SECONDS + 1


class InvalidUserToken(ApiError):
    """No token, or one that doesn't say who the user is; the message says why."""

    status = 401
    type = "authentication_error"
    code = "invalid_user_token"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The user token {why}. Send a live one of this paywall's issuer in the header X-Paywall-User-Token.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens a paywall takes: the `iss` and `aud` that they must have, and where their keys are."""

    issuer: str
    audience: str
    jwks_url: str


async def user_of(token: str, issuer: Issuer) -> str:
    """The id of the end user whom a token names. Raises InvalidUserToken, identity.InvalidUser or jwks.IssuerAway."""
    kid = _key_id(token)
    found = _find(issuer, kid)
    if isinstance(found, Future):
        # Others may wait for the same fetch: leaving must not cancel it.
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(found)), PATIENCE)
        found = _known(issuer, kid)
    return _subject(token, found, issuer)


def user_of_blocking(token: str, issuer: Issuer) -> str:
    """The same for code that runs on threads."""
    kid = _key_id(token)
    found = _find(issuer, kid)
    if isinstance(found, Future):
        wait_for([found], PATIENCE)
        found = _known(issuer, kid)
    return _subject(token, found, issuer)


def _key_id(token: str) -> str | None:
    if len(token) > MAX_TOKEN:
        raise InvalidUserToken(f"is longer than {MAX_TOKEN:,} characters")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise InvalidUserToken("is no JSON Web Token") from None
    return kid if isinstance(kid, str) else None


def _find(issuer: Issuer, kid: str | None) -> "SigningKey | Future[None]":
    try:
        return jwks.key_sets.find(issuer.jwks_url, kid)
    except UnknownSigningKey:
        raise InvalidUserToken("is signed with a key that its issuer doesn't list") from None


def _known(issuer: Issuer, kid: str | None) -> SigningKey:
    try:
        return jwks.key_sets.known(issuer.jwks_url, kid)
    except UnknownSigningKey:
        raise InvalidUserToken("is signed with a key that its issuer doesn't list") from None


def _subject(token: str, key: SigningKey, issuer: Issuer) -> str:
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=list(key.algorithms),
            issuer=issuer.issuer,
            audience=issuer.audience,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise InvalidUserToken(_why(error)) from None
    return identity.check_external_id(claims["sub"])


def _why(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "has expired"
        case jwt.ImmatureSignatureError():
            return "is not valid yet"
        case jwt.InvalidAudienceError():
            return "is for another audience"
        case jwt.InvalidIssuerError():
            return "is of another issuer"
        case jwt.MissingRequiredClaimError():
            return f"lacks the claim {error.claim}"
        case InvalidSubjectError():
            return "has a sub that is no string"
        case jwt.InvalidAlgorithmError() | jwt.InvalidKeyError():
            return "is signed with an algorithm that its key doesn't allow"
        case jwt.InvalidSignatureError():
            return "has a wrong signature"
    return "can't be read"
