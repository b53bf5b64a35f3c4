"""What a paywall's owner is told about its settings, keys and integrations.

Called by services in the transaction of the change. The functions of features that come later stand ready with their
payloads: whoever builds the feature calls them.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from config import ids, money
from webhooks import drafts, outbox
from webhooks.drafts import Draft, Subject, Trigger

# Settings whose values are nobody's business.
_SECRET = {"api_key", "stripe_secret_key", "response_secret"}


def changes(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, sentence) of each setting that differs; `prefix` such as `models.openai/gpt-4o.` names whose it is."""
    return [
        (f"{prefix}{name}", _sentence(f"{prefix}{name}", name, before[name], after[name])) for name in after
    ]


def updated(paywall_id: uuid.UUID, changed: Sequence[tuple[str, str]]) -> None:
    """Settings of the paywall, its providers or models changed."""
    data = {
        "changedFields": [name for name, _ in changed],
        "summarySections": [sentence for _, sentence in changed],
    }
    _emit(paywall_id, "paywall.updated", data)


def archived(paywall_id: uuid.UUID, reason: str) -> None:
    """The paywall was archived."""
    _emit(paywall_id, "paywall.archived", {"reason": reason})


def secret_rotated(paywall_id: uuid.UUID, last_four: str, actor_type: str, actor_id: str) -> None:
    """A key was rotated."""
    data = {"secretLastFour": last_four, "actorId": actor_id, "actorType": actor_type}
    _emit(paywall_id, "paywall.secret.rotated", data, Trigger(actor_type, actor_type, actor_id))


def integration_connected(paywall_id: uuid.UUID, key: str, by: str) -> None:
    """An integration such as "stripe" was switched on."""
    _emit(paywall_id, "paywall.integration.connected", {"integrationKey": key, "enabledBy": by})


def integration_disconnected(paywall_id: uuid.UUID, key: str, by: str) -> None:
    """An integration was switched off."""
    _emit(paywall_id, "paywall.integration.disconnected", {"integrationKey": key, "disabledBy": by})


def stripe_webhook_rotated(paywall_id: uuid.UUID, webhook_id: str, url: str, secret_suffix: str) -> None:
    """Our endpoint at Stripe got another secret."""
    data = {"webhookId": webhook_id, "url": url, "secretSuffix": secret_suffix}
    _emit(paywall_id, "paywall.integration.stripe.webhook.rotated", data)


def authorization_requested(
    paywall_id: uuid.UUID, user_id: uuid.UUID, external_id: str, request_id: str, url: str, mode: str
) -> None:
    """A user who must connect first was given the link."""
    more = {"requestId": request_id, "approvalUrl": url, "mode": mode}
    _authorization("requested", paywall_id, user_id, external_id, more)


def authorization_completed(
    paywall_id: uuid.UUID, user_id: uuid.UUID, external_id: str, connection_id: str
) -> None:
    """The user connected."""
    _authorization("completed", paywall_id, user_id, external_id, {"connectionId": connection_id})


def authorization_declined(
    paywall_id: uuid.UUID, user_id: uuid.UUID, external_id: str, request_id: str, reason: str
) -> None:
    """The user said no."""
    more = {"requestId": request_id, "reason": reason}
    _authorization("declined", paywall_id, user_id, external_id, more)


def authorization_revoked(paywall_id: uuid.UUID, user_id: uuid.UUID, external_id: str) -> None:
    """The user disconnected."""
    _authorization("revoked", paywall_id, user_id, external_id, {})


def _authorization(
    what: str, paywall_id: uuid.UUID, user_id: uuid.UUID, external_id: str, more: Mapping[str, Any]
) -> None:
    public = ids.public("user", user_id)
    data = {"externalUserId": external_id, "walletUserId": public, **more}
    draft = Draft(
        f"paywall.authorization.{what}",
        data,
        Subject("user", public, external_id),
        Trigger("checkout", "end_user", external_id),
    )
    outbox.emit(paywall_id, draft)


def _emit(
    paywall_id: uuid.UUID, type: str, data: Mapping[str, Any], trigger: Trigger = drafts.OPERATOR
) -> None:
    subject = Subject("paywall", ids.public("paywall", paywall_id))
    outbox.emit(paywall_id, Draft(type, data, subject, trigger))


def _sentence(field: str, name: str, before: Any, after: Any) -> str:
    if name in _SECRET:
        return f"{field} changed"
    return f"{field} changed from {_shown(name, before)} to {_shown(name, after)}"


def _shown(name: str, value: Any) -> str:
    if type(value) is int and (name == "trial_credit" or name.endswith(("_price", "_cost"))):
        return money.formatted(value)
    return str(value) if value != "" else "nothing"
