"""Every event there is: its key, the fields of its data, when it happens, an example.

The one source for validation, `docs/webhooks.md`, the OpenAPI document's `webhooks`, the API's catalogue and the
admin's picker. `paywallId` and `ownerUserId` are in the data of every event and are added by the outbox.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "2024-05-01"

# Sent by a subscription's test only; nobody subscribes to it.
PING = "paywall.ping"
# Ours, beside the 27 of the public contract.
LOW = "paywall.balance.low"


@dataclass(frozen=True, slots=True)
class EventType:
    """`example` holds exactly the fields of the data, each with a value of its type."""

    key: str
    summary: str
    example: Mapping[str, Any]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.example)


_PAYWALL = [
    EventType(
        "paywall.updated",
        "A setting of the paywall, its providers or models changed.",
        {"changedFields": ["markup_percent"], "summarySections": ["markup_percent changed from 0 to 20"]},
    ),
    EventType("paywall.archived", "The paywall was archived.", {"reason": "Moved to another paywall"}),
    EventType(
        "paywall.secret.rotated",
        "A key of the paywall was rotated.",
        {"secretLastFour": "8f3c", "actorId": "admin", "actorType": "operator"},
    ),
    EventType(
        "paywall.integration.connected",
        "An integration was switched on.",
        {"integrationKey": "posthog", "enabledBy": "admin"},
    ),
    EventType(
        "paywall.integration.disconnected",
        "An integration was switched off.",
        {"integrationKey": "posthog", "disabledBy": "admin"},
    ),
    EventType(
        "paywall.integration.stripe.webhook.rotated",
        "The endpoint that we keep at Stripe got another secret.",
        {"webhookId": "we_1", "url": "https://paywall.example.com/stripe", "secretSuffix": "42fa"},
    ),
]

_USER = {"walletUserId": "usr_018f"}
_KNOWN_USER = {"externalUserId": "alice", **_USER}

_AUTHORIZATION = [
    EventType(
        "paywall.authorization.requested",
        "A user who must connect first was given the link.",
        {
            **_KNOWN_USER,
            "requestId": "req_018f",
            "approvalUrl": "https://paywall.example.com/c/abc",
            "mode": "shared",
        },
    ),
    EventType(
        "paywall.authorization.completed",
        "The user connected.",
        {**_KNOWN_USER, "connectionId": "con_018f"},
    ),
    EventType(
        "paywall.authorization.declined",
        "The user said no.",
        {**_KNOWN_USER, "requestId": "req_018f", "reason": "declined"},
    ),
    EventType("paywall.authorization.revoked", "The user disconnected.", dict(_KNOWN_USER)),
]

_BALANCE = [
    EventType(
        "paywall.balance.deposit.created",
        "Money was added to a balance.",
        {**_KNOWN_USER, "amount": 50.0, "currency": "USD", "source": "deposits", "activityId": "act_018f"},
    ),
    EventType(
        "paywall.balance.topup.link.created",
        "A top-up link was made.",
        {
            **_USER,
            "redirectUrl": "https://paywall.example.com/t/abc",
            "checkoutSessionId": "lnk_018f",
        },
    ),
    EventType(
        "paywall.balance.trial.granted",
        "A new user got the trial credit (in credits).",
        {**_USER, "credits": 500, "activityId": "act_018f"},
    ),
    EventType(
        "paywall.balance.charge.created",
        "A charge was taken through the API.",
        {**_USER, "activityId": "act_018f", "amount": 15.75, "processingFeeAmount": 0.0},
    ),
    EventType(
        "paywall.balance.charge.completed",
        "The charge is settled on the ledger.",
        {**_USER, "activityId": "act_018f", "settlementReference": "charge:018f"},
    ),
    EventType(
        "paywall.balance.charge.failed",
        "A charge through the API was refused.",
        {**_USER, "activityId": None, "amount": 15.75, "errorCode": "insufficient_funds"},
    ),
    EventType(
        "paywall.balance.depleted",
        "A request or charge asked for more than was there.",
        {**_USER, "requestedAmount": 12.0, "availableBalance": 3.5},
    ),
    EventType(
        LOW,
        "A balance fell below the end user's own threshold; once a crossing.",
        {**_KNOWN_USER, "balance": 1.25, "threshold": 2.0},
    ),
]

_MODEL = {"model": "openai/gpt-4o-mini"}

_USAGE = [
    EventType(
        "paywall.usage.charge.created",
        "A chat request, or usage that the app reported, was charged.",
        {
            **_USER,
            "activityId": "act_018f",
            **_MODEL,
            "promptTokens": 1200,
            "completionTokens": 850,
            "cost": 0.018,
        },
    ),
    EventType(
        "paywall.usage.charge.deferred",
        "A request's charge waits for the ledger.",
        {"deferredRequestId": "req_018f", **_MODEL},
    ),
    EventType(
        "paywall.usage.rate.limited",
        "A limit refused a request; told once a minute for each user and limit.",
        {"limit": 1000, "date": "2026-05-01", **_MODEL, **_USER},
    ),
    EventType(
        "paywall.request.blocked",
        "A request was answered by the paywall, before any provider: authorization, balance or policy.",
        {**_USER, "reason": "insufficient_funds", "requestId": "req_018f"},
    ),
    EventType(
        "paywall.stripe.checkout.session.completed",
        "A checkout was paid.",
        {"checkoutSessionId": "lnk_018f", "amount": 42.0, "currency": "USD", **_USER},
    ),
]

_REQUEST = {"requestId": "req_018f", **_USER}

_PROXY = [
    EventType("paywall.proxy.request.started", "A request goes to its provider.", {**_REQUEST, **_MODEL}),
    EventType("paywall.proxy.request.completed", "A request was answered.", {**_REQUEST, **_MODEL}),
    EventType(
        "paywall.proxy.request.failed",
        "A provider failed a request.",
        {**_REQUEST, **_MODEL, "errorCode": "provider_error"},
    ),
    EventType(
        "paywall.proxy.request.canceled",
        "The client left before its answer was done.",
        {**_REQUEST, **_MODEL},
    ),
    EventType(
        "paywall.proxy.request.blocked",
        "A request was refused while it was being routed, such as for a model that isn't sold.",
        {**_REQUEST, "reason": "model_not_found"},
    ),
]

ALL = {event.key: event for event in (*_PAYWALL, *_AUTHORIZATION, *_BALANCE, *_USAGE, *_PROXY)}


def is_pattern(text: str) -> bool:
    """Whether it is an event's key, or a prefix of some such as `paywall.balance.*`."""
    if text.endswith(".*"):
        return any(key.startswith(text[:-1]) for key in ALL)
    return text in ALL


def matches(patterns: Iterable[str], key: str) -> bool:
    """Whether a subscription with these patterns wants the event."""
    return any(
        pattern in ("*", key) or (pattern.endswith(".*") and key.startswith(pattern[:-1]))
        for pattern in patterns
    )


def wanted(patterns: Iterable[str]) -> frozenset[str]:
    """The keys of the events that any of the patterns takes."""
    patterns = list(patterns)
    return frozenset(key for key in ALL if matches(patterns, key)) if patterns else frozenset()
