"""Playgrounds: the link to a paywall's chat page, who visits it, and what all of its visitors may spend in a day.

The link's token is made of the row's `link_id` with the installation's secret (`config/links.py`), so that it is
unguessable, can be shown again, and a copy of the table opens no page. Amounts are nano-dollars.
"""

import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypedDict, Unpack

from django.conf import settings as installation
from django.core.signing import BadSignature, Signer
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils.crypto import salted_hmac

from config import links
from config.errors import ApiError
from paywalls import events, rules
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Playground, PlaygroundDay

COOKIE = "playground_visitor"
COOKIE_PATH = "/playground"
# Seconds; every visit renews it.
COOKIE_AGE = 365 * 24 * 3600

_PURPOSE = "paywalls.playgrounds"
_VISITOR = re.compile(r"[A-Za-z0-9_-]{22}")
# What the end users that visitors are begin with.
PREFIX = "playground-"


class UnknownPlayground(ApiError):
    """The link is none of ours: mistyped, cut off, altered."""

    status = 404
    code = "playground_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such playground. Check that the link is complete.")


class PlaygroundClosed(ApiError):
    """The link was ours and opens nothing any more: replaced, switched off, or its paywall is archived."""

    status = 410
    code = "playground_closed"

    def __init__(self) -> None:
        super().__init__("This playground's link was replaced or switched off. Ask whoever gave it to you.")


@dataclass(frozen=True, slots=True)
class Link:
    """What a token leads to. To the gateway it is what a key is to others; being no text, no key can pass for it."""

    id: uuid.UUID

    @classmethod
    def of_token(cls, token: str) -> "Link":
        """The link of a token, of now or of earlier. Raises UnknownPlayground."""
        try:
            return cls(links.key_of(_PURPOSE, token))
        except ValueError:
            raise UnknownPlayground from None

    def open(self) -> Playground:
        """The playground behind it, with its paywall and tenant. Raises PlaygroundClosed."""
        rows = Playground.objects.select_related("paywall__tenant")
        found = rows.filter(link_id=self.id, is_on=True, paywall__archived_at=None).first()
        if found is None:
            raise PlaygroundClosed
        return found


def token_of(playground: Playground) -> str:
    """What the link ends with."""
    return links.token_of(_PURPOSE, playground.link_id)


def url_of(playground: Playground) -> str:
    """The absolute URL that opens the page."""
    return f"{installation.PUBLIC_URL}/playground/{token_of(playground)}"


# --- What operators do ------------------------------------------------------------------------------------


class PlaygroundSettings(TypedDict, total=False):
    """Spend in nano-dollars a day (UTC)."""

    is_on: bool
    visitor_requests_per_minute: int
    link_requests_per_minute: int
    visitor_spend_per_day: int
    link_spend_per_day: int


def per_minute(count: int) -> int:
    """Requests a minute."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= rules.MAX_LIMIT:
        raise InvalidSetting(f"must be a whole number from 1 to {rules.MAX_LIMIT}")
    return count


def per_day(nano: int) -> int:
    """An amount a day."""
    if not rules.amount(nano):
        raise InvalidSetting("must be greater than 0; switch the playground off to end all spending")
    return nano


RULES: Mapping[str, rules.Rule] = {
    "visitor_requests_per_minute": per_minute,
    "link_requests_per_minute": per_minute,
    "visitor_spend_per_day": per_day,
    "link_spend_per_day": per_day,
}


def configure(paywall: Paywall, **settings: Unpack[PlaygroundSettings]) -> Playground:
    """Make or change the paywall's playground; what isn't named stays, or is the default. Raises InvalidSetting."""
    stored = rules.obeyed(RULES, settings)
    with transaction.atomic():
        found, made = Playground.objects.get_or_create(paywall=paywall, defaults=stored)
        before = {name: getattr(found, name) for name in stored}
        changed = {name: value for name, value in stored.items() if before[name] != value}
        if changed:
            Playground.objects.filter(pk=found.pk).update(**changed)
            events.updated(paywall.pk, events.changes("playground.", before, changed))
            found.refresh_from_db()
        elif made:
            events.updated(paywall.pk, [("playground", "playground added")])
    return found


def rotate(playground: Playground) -> None:
    """Give the playground another link; the old one opens nothing from the next request on."""
    with transaction.atomic():
        Playground.objects.filter(pk=playground.pk).update(link_id=uuid.uuid4(), rotated_at=Now())
        events.updated(playground.paywall_id, [("playground.link", "playground.link replaced")])
    playground.refresh_from_db()


# --- Visitors ----------------------------------------------------------------------------------------------


def new_visitor() -> str:
    """128 random bits for somebody who was never here."""
    return secrets.token_urlsafe(16)


def cookie_of(visitor: str) -> str:
    """The signed value of a visitor's cookie."""
    return Signer(salt=COOKIE).sign(visitor)


def visitor_in(cookie: str) -> str | None:
    """Who a cookie says the visitor is; None where it is missing, altered or forged."""
    try:
        visitor = Signer(salt=COOKIE).unsign(cookie)
    except BadSignature:
        return None
    return visitor if _VISITOR.fullmatch(visitor) else None


def external_id(paywall_id: uuid.UUID, visitor: str) -> str:
    """The end user that a visitor is in a paywall. Two paywalls can't tell that a visitor is the same person."""
    mac = salted_hmac("paywalls.playgrounds.visitor", f"{paywall_id.hex}:{visitor}", algorithm="sha256")
    return f"{PREFIX}{mac.hexdigest()[:32]}"


# --- What all visitors spend in a day ------------------------------------------------------------------------

_TAKE = """
INSERT INTO paywalls_playgroundday AS known (playground_id, day, used)
SELECT %(playground)s, (now() AT TIME ZONE 'UTC')::date, %(amount)s WHERE %(amount)s <= %(limit)s
ON CONFLICT (playground_id, day) DO UPDATE SET used = known.used + excluded.used
WHERE known.used + excluded.used <= %(limit)s
RETURNING day
"""
_USED = "SELECT used FROM paywalls_playgroundday WHERE playground_id = %s AND day = (now() AT TIME ZONE 'UTC')::date"


def take(playground_id: uuid.UUID, amount: int, limit: int) -> date | int:
    """Count `amount` for today and answer the day; or, where it doesn't fit, count nothing and answer what is used.

    One statement decides and counts, so that no number of requests at once gets past the limit.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"playground": playground_id, "amount": amount, "limit": limit})
        if row := cursor.fetchone():
            day: date = row[0]
            return day
    return used_today(playground_id)


def used_today(playground_id: uuid.UUID) -> int:
    """What all visitors of a playground held or spent today."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, [playground_id])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def correct(playground_id: uuid.UUID, day: date, change: int) -> None:
    """Change what was counted on a day, by what a request turned out to cost less or more."""
    days = PlaygroundDay.objects.filter(playground_id=playground_id, day=day)
    days.update(used=Greatest(F("used") + change, 0))
