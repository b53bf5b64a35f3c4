"""Reading reported usage."""

import uuid
from collections.abc import Mapping
from typing import Any

from config import ids
from ledger.models import UsageEvent

# How the API calls a filter, and what it looks at.
FILTERS = {
    "userId": "user__external_id",
    "teamId": "team__external_id",
    "eventType": "event_type",
    "featureId": "feature_id",
    "provider": "provider",
    "model": "model",
    "state": "state",
    "from": "created_at__gte",
    "to": "created_at__lt",
    "cursor": "pk__lt",
}

# An id is of the process's clock, `created_at` of the database's: they are never further apart (seconds).
APART = 3_600


def events(tenant_id: uuid.UUID, asked: Mapping[str, Any]) -> tuple[list[UsageEvent], uuid.UUID | None]:
    """A page of a tenant's events, newest first, and where the next one begins (None after the last)."""
    wanted = {lookup: asked[name] for name, lookup in FILTERS.items() if name in asked}
    # The ids tell the index where to begin and end; what only `created_at` could tell, it would read on for.
    if "from" in asked:
        wanted["pk__gte"] = ids.first_of(asked["from"], later=-APART)
    if "to" in asked:
        wanted["pk__lte"] = ids.first_of(asked["to"], later=APART)
    rows = UsageEvent.objects.filter(tenant_id=tenant_id, **wanted).select_related("user", "team")
    found = list(rows.order_by("-pk")[: asked["limit"] + 1])
    page = found[: asked["limit"]]
    return page, page[-1].pk if len(found) > asked["limit"] else None
