"""What is remembered of one request: gathered on its way, and made a row when it ends. Never what was said."""

import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus

import orjson

from ledger.models import ProxyRequest
from ledger.requests import RequestFacts
from paywalls.users import UserRef
from proxy.meter import Charge, Ending, Meter
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest

Status = ProxyRequest.Status

# What a provider calls its request goes into a column of this many characters.
_UPSTREAM_ID = 128
SERVER_ERROR = "server_error"
# nginx's number for a client that closed the connection first.
CLIENT_CLOSED_REQUEST = 499


class Record:
    """One request's facts. `status` is the HTTP status that its client gets."""

    __slots__ = (
        "_asked",
        "_began",
        "_created_at",
        "_first_byte_ms",
        "_user",
        "attempts",
        "broken",
        "id",
        "noted",
        "route",
        "status",
        "upstream_id",
    )

    def __init__(self, request_id: uuid.UUID, user: UserRef, asked: ModelRequest) -> None:
        self.id = request_id
        self._user = user
        self._asked = asked
        self._created_at = datetime.now(UTC)
        self._began = time.perf_counter()
        self._first_byte_ms: int | None = None
        self.route: ModelSnapshot | None = None
        self.attempts = 0
        self.status: int = HTTPStatus.OK
        self.upstream_id = ""
        # Whether something of ours broke on the way.
        self.broken = False
        # Whether its row says already that it has started.
        self.noted = False

    @property
    def age(self) -> float:
        """Seconds since it came."""
        return time.perf_counter() - self._began

    def asks(self, route: ModelSnapshot) -> None:
        """Another provider is asked, or one again."""
        self.route = route
        self.attempts += 1

    def first_byte(self) -> None:
        """The first byte of the provider's answer is here."""
        self._first_byte_ms = self._elapsed()

    def about(self) -> str:
        """What the hold keeps of it (JSON), for the case that nobody lives to say more."""
        return orjson.dumps(
            {
                "paywall": self._user.paywall_id,
                "user": self._user.external_id,
                "model": _storable(self._asked.model),
                "surface": self._asked.surface.name,
                "streamed": self._asked.stream,
            }
        ).decode()

    def started(self) -> RequestFacts:
        """The row of a request that is under way."""
        return self._facts(Status.STARTED, "", None)

    def ended(self, meter: Meter | None, charge: Charge | None) -> RequestFacts:
        """The row of a request that held something; without a meter it was not forwarded."""
        if self.broken:
            self.status = HTTPStatus.INTERNAL_SERVER_ERROR
            return self._facts(Status.FAILED, SERVER_ERROR, charge)
        if meter is None or meter.ending is Ending.CLIENT_LEFT:
            self.status = CLIENT_CLOSED_REQUEST
            return self._facts(Status.CANCELED, Ending.CLIENT_LEFT, charge)
        if meter.error_code or meter.ending is Ending.UPSTREAM_DIED:
            return self._facts(Status.FAILED, meter.error_code or "provider_died", charge)
        return self._facts(Status.COMPLETED, "", charge)

    def refused(self, reason: str, status: int) -> RequestFacts:
        """The row of a request that held nothing, because of us (a status of 500 and more) or by a rule."""
        self.status = status
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return self._facts(Status.FAILED if failed else Status.BLOCKED, reason, None)

    def left(self) -> RequestFacts:
        """The row of a request whose client left before anything was held."""
        self.status = CLIENT_CLOSED_REQUEST
        return self._facts(Status.CANCELED, Ending.CLIENT_LEFT, None)

    def replayed(self) -> RequestFacts:
        """The row of a request that was answered with what an earlier one got."""
        return self._facts(Status.COMPLETED, "replayed", None)

    def _facts(self, status: Status, reason: str, charge: Charge | None) -> RequestFacts:
        route, asked = self.route, self._asked
        used = charge.used if charge else None
        under_way = status is Status.STARTED
        return RequestFacts(
            id=self.id,
            created_at=self._created_at,
            paywall_id=self._user.paywall_id,
            external_id=self._user.external_id,
            model=_storable(asked.model),
            provider=route.provider.name if route else "",
            upstream_model=route.upstream_model if route else "",
            surface=asked.surface.name,
            status=status.value,
            reason=reason[:64],
            input_tokens=used.input if used else 0,
            cache_read_tokens=used.cache_read if used else 0,
            cache_write_tokens=used.cache_write if used else 0,
            output_tokens=used.output if used else 0,
            reasoning_tokens=used.reasoning if used else 0,
            images=charge.images if charge else 0,
            cost=charge.cost if charge else None,
            charge=charge.amount if charge else 0,
            estimated=charge.estimated if charge else False,
            first_byte_ms=self._first_byte_ms,
            total_ms=None if under_way else self._elapsed(),
            attempts=self.attempts,
            http_status=None if under_way else self.status,
            streamed=asked.stream,
            upstream_request_id=self.upstream_id[:_UPSTREAM_ID],
        )

    def _elapsed(self) -> int:
        return round(self.age * 1000)


def _storable(model: str) -> str:
    """What a client called the model, as the database takes it: no zero bytes, and no more than its column."""
    return model[:128].replace("\0", "\ufffd")
