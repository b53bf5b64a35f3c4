"""The money side of one request: a hold, and the one settlement that resolves it, whatever happens in between."""

import asyncio
import logging
import uuid

from django.conf import settings

from config.errors import Unavailable
from ledger import unsettled
from ledger.errors import Contention, Refusal
from ledger.group_commit import LedgerAway
from ledger.operations import Capture, Held, Outcome, PlaceHold, Release
from paywalls.users import UserRef
from proxy import events
from proxy.gateway import Gateway
from proxy.http import Request
from proxy.meter import Meter
from proxy.snapshot import ModelSnapshot, PaywallSnapshot

log = logging.getLogger("tollgate.gateway")

# Seconds that an admission waits for a database that is away before the client is told to come back.
HOLD_PATIENCE = 2.0
# Seconds that a settlement keeps trying: the provider has answered, so its charge should survive a restart.
SETTLE_PATIENCE = 60.0


class Reservation:
    """At most one hold, placed and resolved apart from the request's own task: neither a client that leaves nor a
    server that stops can come between the database's answer and ours."""

    def __init__(self, gateway: Gateway, request: Request, user: UserRef) -> None:
        self._gateway = gateway
        self._request = request
        self._user = user
        self._snapshot: PaywallSnapshot | None = None
        self._model = ""
        self._placing: asyncio.Future[Outcome] | None = None
        self._resolving: asyncio.Task[None] | None = None

    @property
    def request_id(self) -> uuid.UUID:
        return self._request.id

    async def place(self, amount: int, snapshot: PaywallSnapshot, model: ModelSnapshot) -> Refusal | None:
        """Hold `amount` nano-dollars; None when it stands, else why not. Raises Unavailable."""
        self._snapshot, self._model = snapshot, model.model_id
        operation = PlaceHold(
            wallet=self._gateway.wallet(self._user),
            hold_id=self._request.id,
            amount=amount,
            seconds=settings.HOLD_SECONDS,
            guard=snapshot.guard,
            events=events.started(snapshot, self._request.id, self._model),
        )
        try:
            self._placing = self._gateway.books.submit(operation, patience=HOLD_PATIENCE)
            outcome = await asyncio.shield(self._placing)
        except (LedgerAway, Contention) as error:
            raise Unavailable("The ledger is busy; nothing was charged. Try again shortly.") from error
        if isinstance(outcome, Refusal):
            return outcome
        assert isinstance(outcome, Held)
        self._gateway.remember_wallet(self._user, outcome.account_id)
        return None

    async def resolve(self, meter: Meter | None, *, within: float | None = None) -> None:
        """Charge what the meter says, or free the hold where nothing is billable. Once; later calls wait for the first.

        `within` bounds the wait in seconds, not the work: it goes on detached.
        """
        if self._placing is None:
            return
        if self._resolving is None:
            self._resolving = self._gateway.spawn(self._resolve(self._placing, meter))
        done, _ = await asyncio.wait({self._resolving}, timeout=within)
        if not done and self._snapshot:
            self._gateway.spawn(events.deferred(self._snapshot, self._user, self.request_id, self._model))

    async def _resolve(self, placing: "asyncio.Future[Outcome]", meter: Meter | None) -> None:
        try:
            held = await asyncio.shield(placing)
        except (LedgerAway, Contention):
            return
        if not isinstance(held, Held):
            return
        assert self._snapshot
        hold_id = self._request.id
        ended = events.ended(self._snapshot, hold_id, self._model, meter)
        watched = events.CHARGED in self._snapshot.wanted_events
        operation: Capture | Release
        if meter is not None and meter.billable:
            charge = await meter.charge()
            source = f"usage:{hold_id.hex}"
            operation = Capture(
                held.account_id, hold_id, charge.amount, source, charge.metadata, ended, watched=watched
            )
        else:
            operation = Release(held.account_id, hold_id, ended)
        try:
            outcome = await self._gateway.books.post(operation, patience=SETTLE_PATIENCE)
        except (LedgerAway, Contention):
            # The hold stays open until the sweeper expires it; a charge is kept on the disk and settled later.
            log.exception("%s could not be settled: %s", self._request.public_id, operation)
            if isinstance(operation, Capture):
                await asyncio.to_thread(unsettled.keep, operation)
            return
        if isinstance(outcome, Refusal):
            log.error("%s was not settled: %s", self._request.public_id, outcome)
