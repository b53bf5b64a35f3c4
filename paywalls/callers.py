"""Who calls, and for whom: what a paywall's settings say of keys that anybody can see, origins and tokens. Pure.

Both edges follow it: the gateway, and the REST API.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from config.errors import ApiError
from paywalls import identity
from paywalls.models import Paywall, PaywallKey
from paywalls.usertokens import InvalidUserToken, Issuer

ANY_ORIGIN = "*"

_PUBLISHABLE = PaywallKey.PREFIXES[PaywallKey.Kind.PUBLISHABLE]


class Forbidden(ApiError):
    """The key may not do this."""

    status = 403
    type = "permission_error"


class OriginNotAllowed(Forbidden):
    """A page of a site that the paywall doesn't list."""

    code = "origin_not_allowed"

    def __init__(self, origin: str) -> None:
        super().__init__(f"The paywall's allowed origins don't list {origin[:255]!r}.")


class NoIssuer(Forbidden):
    """A publishable key of a paywall that takes no user tokens."""

    code = "no_issuer"

    def __init__(self) -> None:
        super().__init__(
            "This paywall names no issuer of user tokens, so a publishable key can do nothing. Use a secret key on "
            "a server, or set the issuer."
        )


class SecretKeyRequired(Forbidden):
    """Something that a publishable key never may."""

    code = "secret_key_required"

    def __init__(self) -> None:
        super().__init__("A publishable key can't do this; a server with the paywall's secret key can.")


class AnotherUser(Forbidden):
    """A token's user names somebody else."""

    code = "another_user"
    param = "user"

    def __init__(self) -> None:
        super().__init__("user: must be the one that the user token names, or be left out.")


@dataclass(frozen=True, slots=True)
class CallerRules:
    """A paywall's settings about its callers. `user_headers` are lower-case names, in order of precedence."""

    user_headers: tuple[str, ...] = identity.USER_HEADERS
    issuer: Issuer | None = None
    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paywall: Paywall) -> "CallerRules":
        """The settings of a paywall as it is now."""
        return cls(
            (*identity.USER_HEADERS, *(name.lower() for name in paywall.user_headers)),
            Issuer(paywall.jwt_issuer, paywall.jwt_audience, paywall.jwks_url)
            if paywall.jwt_issuer
            else None,
            frozenset(paywall.allowed_origins),
        )

    def may_read(self, origin: str) -> bool:
        """Whether pages of this origin may call with a publishable key."""
        return origin in self.origins or ANY_ORIGIN in self.origins

    def token_to_check(self, publishable: bool, origin: str, token: str) -> Issuer | None:
        """Whose token has to be verified; None where the request needs none and has none.

        A secret key needs no token; one that comes with it counts all the same. Raises OriginNotAllowed, NoIssuer, or
        InvalidUserToken where one is missing.
        """
        if publishable:
            if origin and not self.may_read(origin):
                raise OriginNotAllowed(origin)
            if self.issuer is None:
                raise NoIssuer
            if not token:
                raise InvalidUserToken("is missing, which a publishable key needs")
        return self.issuer if token else None


def is_publishable(key: str) -> bool:
    """Whether a key may be seen by anybody."""
    return key.startswith(_PUBLISHABLE)


def user_of(
    subject: str | None, explicit: object, headers: Iterable[bytes | None], url: str | None = None
) -> str:
    """The end user: whom the verified token names (`subject`), else whom the request does (see identity.resolve).

    Raises AnotherUser where the two differ, InvalidUser or MissingUser.
    """
    if subject is None:
        return identity.resolve(explicit, headers, url)
    named = [explicit, *(raw.decode("utf-8", "replace") for raw in headers if raw is not None), url]
    if any(name is not None and name != subject for name in named):
        raise AnotherUser
    return subject
