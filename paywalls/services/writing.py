"""How settings get into a row: under a name that is free, secrets encrypted, and only what differs."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from config import secrets
from paywalls import events
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel, Provider


def refuse_taken(
    rows: QuerySet[Any], own: Model | None, stored: Mapping[str, Any], field: str, why: str
) -> None:
    """Raise InvalidSetting where another of the rows has the field's new value."""
    if field not in stored or (own and getattr(own, field) == stored[field]):
        return
    if rows.filter(**{field: stored[field]}).exists():
        raise InvalidSetting(why, param=field)


def encrypted(plain: str, token: str) -> str:
    """The secret's token: the stored one where it says the same, since encrypting again makes another each time."""
    return token if _holds(token, plain) else secrets.encrypt(plain)


def _holds(token: str, plain: str) -> bool:
    try:
        return secrets.decrypt(token) == plain
    except secrets.UndecryptableSecret:
        return False


def write_changes(row: Model, stored: Mapping[str, Any]) -> bool:
    """Write what differs, and tell about it; whether anything did."""
    changed = {name: value for name, value in stored.items() if getattr(row, name) != value}
    if not changed:
        return False
    before = {name: getattr(row, name) for name in changed}
    for name, value in changed.items():
        setattr(row, name, value)
    with transaction.atomic():
        row.save(update_fields=list(changed))
        match row:
            case Paywall():
                events.updated(row.pk, events.changes("", before, changed))
            case Provider():
                events.updated(row.paywall_id, events.changes(f"providers.{row.name}.", before, changed))
            case PaywallModel():
                events.updated(row.paywall_id, events.changes(f"models.{row.model_id}.", before, changed))
    return True
