"""A paywall's settings about who calls it and how it speaks for itself: the rule of each, and how they fit together."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from paywalls import rules, usertokens, wording
from paywalls.callers import ANY_ORIGIN
from paywalls.errors import InvalidSetting
from paywalls.identity import USER_HEADERS
from paywalls.models import Paywall
from paywalls.wording import Case
from webhooks import rules as webhook_rules
from webhooks.errors import InvalidSubscription

MAX_USER_HEADERS = 10
MAX_ORIGINS = 50

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@\\]{1,200}")
# What says other things than who the end user is, or is one of these headers already.
_TAKEN = {
    *USER_HEADERS,
    usertokens.HEADER,
    "authorization",
    "x-api-key",
    "cookie",
    "host",
    "origin",
    "content-length",
    "content-type",
    "idempotency-key",
}


class CallSettings(TypedDict, total=False):
    """`response_secret` in the clear; it is stored encrypted. Empty texts and lists are the defaults."""

    user_headers: list[str]
    replies: str
    authorization_template: str
    funds_template: str
    provider_error_template: str
    response_url: str
    response_secret: str
    jwt_issuer: str
    jwt_audience: str
    jwks_url: str
    allowed_origins: list[str]


def _texts(values: Any, most: int) -> list[str]:
    if not isinstance(values, list) or len(values) > most or not all(isinstance(v, str) for v in values):
        raise InvalidSetting(f"must be a list of at most {most} texts")
    return [value.strip() for value in values]


def user_headers(names: Any) -> list[str]:
    """Names of headers, in order of precedence."""
    names = _texts(names, MAX_USER_HEADERS)
    for name in names:
        if not _HEADER.fullmatch(name):
            raise InvalidSetting("must hold names of headers such as X-OpenWebUI-User-Id")
        if name.lower() in _TAKEN:
            raise InvalidSetting(f"can't hold {name}, which has a meaning already")
    if len({name.lower() for name in names}) < len(names):
        raise InvalidSetting("must not name a header twice")
    return names


def allowed_origins(origins: Any) -> list[str]:
    """Origins as browsers send them, or "*" alone for any."""
    origins = [origin.lower().rstrip("/") for origin in _texts(origins, MAX_ORIGINS)]
    if ANY_ORIGIN in origins and len(origins) > 1:
        raise InvalidSetting('must hold "*" alone: it stands for any origin')
    for origin in origins:
        if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
            raise InvalidSetting("must hold origins such as https://app.example.com, without a path")
    return list(dict.fromkeys(origins))


def replies(text: str) -> str:
    """How clients that don't say otherwise are answered."""
    if text not in Paywall.Replies.values:
        raise InvalidSetting(f"must be {' or '.join(map(repr, Paywall.Replies.values))}")
    return text


def template(case: Case) -> rules.Rule:
    """The text of a case; empty for the default's."""
    prose = rules.prose(wording.MAX_TEMPLATE)

    def rule(text: str) -> str:
        text = str(prose(text))
        wording.check(text, case)
        return text

    return rule


def _as_of_webhooks(check: Callable[[Any], Any]) -> rules.Rule:
    """A rule of webhooks' for the same thing of a paywall; empty is none."""

    def rule(text: str) -> Any:
        try:
            return check(text.strip()) if text.strip() else ""
        except InvalidSubscription as fault:
            raise InvalidSetting(fault.message.removeprefix(f"{fault.param}: ")) from None

    return rule


RULES: Mapping[str, rules.Rule] = {
    "user_headers": user_headers,
    "replies": replies,
    "authorization_template": template(Case.AUTHORIZATION_REQUIRED),
    "funds_template": template(Case.INSUFFICIENT_FUNDS),
    "provider_error_template": template(Case.PROVIDER_ERROR),
    "response_url": _as_of_webhooks(webhook_rules.url),
    "response_secret": _as_of_webhooks(webhook_rules.secret),
    "jwt_issuer": rules.line(500, blank=True),
    "jwt_audience": rules.line(500, blank=True),
    "jwks_url": _as_of_webhooks(webhook_rules.url),
    "allowed_origins": allowed_origins,
}


def check_together(paywall: Paywall | None, stored: Mapping[str, Any]) -> None:
    """Raise InvalidSetting where the settings of a new or the given paywall would not fit each other."""

    def told(name: str) -> Any:
        return stored[name] if name in stored else getattr(paywall, name, "")

    issuer = ("jwt_issuer", "jwt_audience", "jwks_url")
    given = [name for name in issuer if told(name)]
    for name in issuer:
        if given and name not in given:
            raise InvalidSetting(
                "must be given, too: user tokens need their issuer, audience and the address of its keys",
                param=name,
            )
    if told("response_url") and not told("response_secret"):
        raise InvalidSetting("must be given: it signs what your endpoint gets", param="response_secret")
