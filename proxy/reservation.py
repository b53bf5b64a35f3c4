"""The money side of one request: a hold, and the one settlement that resolves it, whatever happens in between."""

import asyncio
import logging
import uuid

from django.conf import settings

from config import ids, secrets
from config.errors import Unavailable
from ledger import unsettled
from ledger.errors import Contention, NotConnected, Refusal
from ledger.group_commit import LedgerAway
from ledger.operations import Capture, Claim, Held, Outcome, PlaceHold, Release, RequestEvent
from ledger.requests import RequestFacts
from paywalls.users import UserRef
from proxy import events
from proxy.gateway import Gateway
from proxy.linkbudget import LinkBudget
from proxy.meter import Meter
from proxy.record import Record
from proxy.snapshot import ModelSnapshot, PaywallSnapshot

log = logging.getLogger("tollgate.gateway")

# Seconds that an admission waits for a database that is away before the client is told to come back.
HOLD_PATIENCE = 2.0
# Seconds that a settlement keeps trying: the provider has answered, so its charge should survive a restart.
SETTLE_PATIENCE = 60.0
# A longer answer (bytes) is not kept for a retry.
MAX_KEPT_ANSWER = 256 * 1024


class Reservation:
    """At most one hold, placed and resolved apart from the request's own task: neither a client that leaves nor a
    server that stops can come between the database's answer and ours. `stood` once there was one."""

    def __init__(self, gateway: Gateway, user: UserRef, record: Record, claim: Claim | None = None) -> None:
        self.stood = False
        self._gateway = gateway
        self._user = user
        self._record = record
        self._claim = claim
        self._answer = b""
        self._amount = 0
        self._snapshot: PaywallSnapshot | None = None
        self._model = ""
        self._placing: asyncio.Future[Outcome] | None = None
        self._resolving: asyncio.Task[None] | None = None
        # What the request takes of its link's day, where it comes through one.
        self._budget: LinkBudget | None = None

    @property
    def request_id(self) -> uuid.UUID:
        return self._record.id

    async def place(self, amount: int, snapshot: PaywallSnapshot, model: ModelSnapshot) -> Refusal | None:
        """Hold `amount` nano-dollars; None when it stands, else why not. Raises Unavailable."""
        self._snapshot, self._model, self._amount = snapshot, model.model_id, amount
        if link := snapshot.link:
            self._budget = self._budget or LinkBudget(self._gateway, link.playground_id)
            if spent := await self._budget.take(amount, link.spend_per_day):
                return spent
        wallet, connection = self._gateway.wallet(self._user)
        operation = PlaceHold(
            wallet=wallet,
            hold_id=self._record.id,
            amount=amount,
            seconds=settings.HOLD_SECONDS,
            guard=snapshot.guard,
            limits=snapshot.spend_limits,
            events=events.started(snapshot, self._record.id, self._model),
            connection=connection,
            about=self._record.about(),
            claim=self._claim,
            on_model=model.spend,
        )
        try:
            self._placing = self._gateway.books.submit(operation, patience=HOLD_PATIENCE)
            outcome = await asyncio.shield(self._placing)
        except (LedgerAway, Contention) as error:
            raise Unavailable("The ledger is busy; nothing was charged. Try again shortly.") from error
        if isinstance(outcome, NotConnected) and self._gateway.forget_wallet(self._user):
            # What was remembered has ended; they may be connected anew, or to another wallet.
            return await self.place(amount, snapshot, model)
        if isinstance(outcome, Refusal):
            return outcome
        assert isinstance(outcome, Held)
        self.stood = True
        if isinstance(wallet, UserRef):
            self._gateway.remember_wallet(self._user, outcome.account_id, outcome.connection)
        return None

    def keep_answer(self, body: bytes) -> None:
        """A plain answer, which the settlement keeps for a retry where the paywall wants that."""
        if self._claim and self._snapshot and self._snapshot.replays and len(body) <= MAX_KEPT_ANSWER:
            self._answer = body

    async def resolve(self, meter: Meter | None, *, within: float | None = None) -> None:
        """Charge what the meter says, or free the hold where nothing is billable. Once; later calls wait for the first.

        `within` bounds the wait in seconds, not the work: it goes on detached.
        """
        if self._placing is None:
            if self._budget:
                self._gateway.spawn(self._budget.settle(0))
            return
        if self._resolving is None:
            self._resolving = self._gateway.spawn(self._resolve(self._placing, meter))
        elif self._resolving.done():
            return
        if not await _ended(self._resolving, within) and self._snapshot:
            self._gateway.spawn(events.deferred(self._snapshot, self._user, self.request_id, self._model))

    async def _resolve(self, placing: "asyncio.Future[Outcome]", meter: Meter | None) -> None:
        charged = await self._settle(placing, meter)
        if self._budget:
            await self._budget.settle(charged)

    async def _settle(self, placing: "asyncio.Future[Outcome]", meter: Meter | None) -> int:
        """Resolve the hold, where there is one; what is charged."""
        try:
            held = placing.result() if placing.done() else await asyncio.shield(placing)
        except (LedgerAway, Contention):
            return 0
        if not isinstance(held, Held):
            return 0
        self.stood = True
        operation = await self._settlement(held, meter)
        charged = operation.amount if isinstance(operation, Capture) else 0
        try:
            outcome = await self._gateway.books.post(operation, patience=SETTLE_PATIENCE)
        except Exception:
            # The hold stays open until the sweeper expires it; a charge is kept on the disk and settled later.
            log.exception("%s could not be settled", ids.public("request", self._record.id))
            if isinstance(operation, Capture):
                await asyncio.to_thread(unsettled.keep, operation)
            return charged
        if isinstance(outcome, Refusal):
            log.error("%s was not settled: %s", ids.public("request", self._record.id), outcome)
        return charged

    async def _settlement(self, held: Held, meter: Meter | None) -> Capture | Release:
        """The operation that resolves the hold, with the request's events and its row."""
        assert self._snapshot
        record, hold_id = self._record, self._record.id
        ended = events.ended(self._snapshot, hold_id, self._model, meter)
        if meter is None or not meter.billable:
            return self._release(held, ended, record.ended(meter, None))
        try:
            charge = await meter.charge(self._amount)
        except Exception:
            # What we can't price we can't charge for, and an open hold would help nobody.
            log.exception("%s could not be priced: nothing is charged", ids.public("request", hold_id))
            record.broken = True
            return self._release(held, ended, record.ended(meter, None))
        return Capture(
            held.account_id,
            hold_id,
            charge.amount,
            f"usage:{hold_id.hex}",
            charge.metadata,
            ended,
            watched=events.CHARGED in self._snapshot.wanted_events,
            connection=held.connection,
            request=record.ended(meter, charge),
            answer=secrets.encrypt(self._answer.decode()) if self._answer else "",
            model_spend=held.model_spend,
        )

    def _release(self, held: Held, ended: tuple[RequestEvent, ...], request: RequestFacts) -> Release:
        known = (held.connection, request, held.model_spend)
        return Release(held.account_id, self._record.id, ended, *known)


async def _ended(task: "asyncio.Task[None]", within: float | None) -> bool:
    """Wait for a task, so many seconds at the most; whether it has ended.

    As `asyncio.wait`, which takes sets of them and three times as long for one.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = None if within is None else loop.call_later(within, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        task.remove_done_callback(wake)
        if timer:
            timer.cancel()
    return task.done()
