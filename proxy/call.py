"""One request to a model, on any API, from admission to settlement, as one coroutine with one `finally`."""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from django.conf import settings

from config.errors import ApiError
from ledger.errors import KeyTaken
from ledger.requests import RequestFacts
from paywalls.users import UserRef
from proxy import decisions, replies, request_keys
from proxy.admission import Admission
from proxy.callers import CallerRulesChanged, identified, presented_key
from proxy.decisions import Decision
from proxy.forwarding import Forwarding
from proxy.gateway import Gateway
from proxy.http import ClientLeft, Request, Response
from proxy.limits.allowance import Allowance
from proxy.meter import Ending
from proxy.record import SERVER_ERROR, Record
from proxy.reservation import Reservation
from proxy.snapshot import Key, PaywallSnapshot
from proxy.surfaces import ModelRequest, Surface

# An operator who changes again and again who a request is from: after so many tries it gives way.
MAX_IDENTIFICATIONS = 3


async def answer(
    gateway: Gateway, request: Request, response: Response, surface: Surface, url_user: str | None = None
) -> None:
    """Answer a request to a model: who calls (the key), for whom (the user), whether they may, then the answer.

    Raises ApiError for what an error answers, ClientLeft where nobody waits.
    """
    response.error_body = surface.error
    key = presented_key(request)
    snapshot = await gateway.snapshots.get(key)
    asked = surface.parse(await request.body(settings.MAX_BODY_BYTES))
    named = surface.named_user(asked.body)
    for _ in range(MAX_IDENTIFICATIONS):
        snapshot, user = await identified(gateway, request, response, key, snapshot, named, url_user)
        try:
            await answer_for(gateway, request, response, asked, user, key, snapshot)
            return
        except CallerRulesChanged:
            snapshot = await gateway.snapshots.get(key)
    raise CallerRulesChanged


async def answer_for(
    gateway: Gateway,
    request: Request,
    response: Response,
    asked: ModelRequest,
    user: UserRef,
    key: Key,
    snapshot: PaywallSnapshot,
) -> None:
    """Answer a request whose end user is known. Raises what `answer` does, and CallerRulesChanged."""
    call = _Call(gateway, request, response, asked, user)
    with CancelledWhenLeft(request, response):
        await call.run(key, snapshot)


class CancelledWhenLeft:
    """Cancels the current task when the client closes the connection early, and turns that into ClientLeft."""

    __slots__ = ("_end", "_left", "_request", "_response", "_task")

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response
        self._left = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task
        self._task = task
        self._end = self._request.when_left(self._cancel)

    def _cancel(self) -> None:
        # Servers also say "disconnected" after a complete answer.
        if not self._response.finished:
            self._left = True
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._end()
        # It refers to us: only the collector would free the two, and all of the request that hangs on them.
        del self._end
        if self._left and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise ClientLeft from None


class _Call:
    """The state of one request on its way."""

    def __init__(
        self, gateway: Gateway, request: Request, response: Response, asked: ModelRequest, user: UserRef
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._response = response
        self._asked = asked
        self._user = user
        self._record = Record(request.id, user, asked)
        claim = request_keys.claim_of(request, asked, user)
        self._hold = Reservation(gateway, user, self._record, claim)
        self._forwarding = Forwarding(gateway, request, response, asked, self._hold, self._record)
        self._allowance = Allowance(gateway.counters, user, request.id, response.extra)
        # The row of a request that held nothing.
        self._unheld: Callable[[], RequestFacts] | None = self._record.left

    async def run(self, key: Key, snapshot: PaywallSnapshot) -> None:
        """Admit, forward, relay, settle. Whatever happens, the hold is resolved and the request remembered."""
        self._gateway.journal.began(self._record)
        try:
            await self._serve(key, snapshot)
        except asyncio.CancelledError:
            if meter := self._forwarding.meter:
                meter.ending = Ending.CLIENT_LEFT
            raise
        except CallerRulesChanged:
            # Not refused yet: the same request is looked at anew, and counts once.
            self._unheld = None
            self._allowance.undo()
            raise
        except ApiError as error:
            self._unheld = partial(self._record.refused, error.code or "", error.status)
            raise
        except Exception:
            self._record.broken = True
            self._unheld = partial(self._record.refused, SERVER_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        finally:
            meter = self._forwarding.meter
            try:
                await self._hold.resolve(meter)
            finally:
                self._allowance.end(meter.tokens if meter and meter.billable else 0)
                self._gateway.journal.ended(self._record)
                if self._unheld and not self._hold.stood:
                    self._gateway.journal.add(self._unheld())

    async def _serve(self, key: Key, snapshot: PaywallSnapshot) -> None:
        admission = Admission(
            self._gateway, key, snapshot, self._asked, self._user, self._hold, self._allowance
        )
        try:
            admitted = await admission.run()
        except KeyTaken as taken:
            await self._answer_again(taken, admission.snapshot)
            return
        if isinstance(admitted, Decision):
            self._unheld = partial(self._record.refused, admitted.case, admitted.error.status)
            await self._reply(admitted)
        elif error := await self._forwarding.run(admitted.model):
            await self._reply(decisions.provider_error(admitted.snapshot.voice, error))

    async def _answer_again(self, taken: KeyTaken, snapshot: PaywallSnapshot) -> None:
        """What an earlier request with the same Idempotency-Key got. Raises ApiError where that can't be had."""
        answer = await request_keys.answer_of(taken, snapshot)
        if isinstance(answer, ApiError):
            raise answer
        self._unheld = self._record.replayed
        await self._response.whole(HTTPStatus.OK, answer, request_keys.REPLAY_HEADERS)

    async def _reply(self, decision: Decision) -> None:
        """Answer in the model's place."""
        await replies.send(self._gateway, self._request, self._response, self._asked, self._user, decision)
