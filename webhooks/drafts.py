"""Events before they are written: what happened, to whom, because of whom."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from config import ids
from webhooks import catalogue


@dataclass(frozen=True, slots=True)
class Trigger:
    """What caused an event: `source` is a surface such as "api" or "gateway"; `actor_type` who used it."""

    source: str
    actor_type: str
    actor_id: str | None = None


API = Trigger("api", "paywall_key")
GATEWAY = Trigger("gateway", "end_user")
OPERATOR = Trigger("operator", "operator")
SYSTEM = Trigger("system", "system")


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about; `external_id` is the app's own id, where it has one."""

    type: str
    id: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """An event of one paywall; `data` holds exactly the fields that the catalogue lists for its type."""

    type: str
    data: Mapping[str, Any]
    subject: Subject
    trigger: Trigger = SYSTEM
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type != catalogue.PING and set(self.data) != set(catalogue.ALL[self.type].fields):
            raise ValueError(f"{self.type} takes {catalogue.ALL[self.type].fields}, not {tuple(self.data)}")

    @property
    def request_id(self) -> uuid.UUID | None:
        """The key of the request to a model that the event is about."""
        return ids.parse("request", self.subject.id) if self.subject.type == "request" else None

    def body(self, event_id: uuid.UUID, paywall_id: uuid.UUID, tenant_id: uuid.UUID) -> bytes:
        """The bytes of the member `event`, the same in every delivery."""
        own = {"paywallId": ids.public("paywall", paywall_id), "ownerUserId": ids.public("tenant", tenant_id)}
        return orjson.dumps(
            {
                "id": ids.public("event", event_id),
                **own,
                "type": self.type,
                "version": catalogue.VERSION,
                "status": "pending",
                "createdAt": stamp(datetime.now(UTC)),
                "trigger": {
                    "source": self.trigger.source,
                    "actorType": self.trigger.actor_type,
                    "actorId": self.trigger.actor_id,
                },
                "subject": {
                    "type": self.subject.type,
                    "id": self.subject.id,
                    "externalId": self.subject.external_id,
                },
                "data": {**own, **self.data},
                "metadata": dict(self.metadata),
            }
        )


def stamp(moment: datetime) -> str:
    """A time as the wire has it: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
