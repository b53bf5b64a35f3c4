"""One request to a model, on any API, from admission to settlement, as one coroutine with one `finally`."""

import asyncio
import logging
from collections.abc import Mapping

import orjson
from django.conf import settings

from paywalls import identity, keys
from paywalls.errors import MissingKey
from paywalls.users import UserRef
from proxy import provider_errors, replies, sse, upstream
from proxy.admission import admit
from proxy.decisions import Decision
from proxy.gateway import Gateway
from proxy.http import ClientLeft, Request, Response
from proxy.meter import Ending, Meter
from proxy.reservation import Reservation
from proxy.response import UpstreamDied, UpstreamResponse
from proxy.snapshot import ModelSnapshot, PaywallSnapshot
from proxy.surfaces import ModelRequest, Surface
from proxy.upstream import UpstreamUnreachable

log = logging.getLogger("tollgate.gateway")

# A provider's plain answer is kept in memory whole, up to this size.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Seconds that a finished stream waits for its settlement before it ends; the settlement itself goes on.
SETTLE_BEFORE_END = 5.0


def presented_key(request: Request) -> str:
    """The paywall key of a request. Raises MissingKey."""
    key = keys.presented(request.header("authorization"), request.header("x-api-key"))
    if not key:
        raise MissingKey
    return key


async def answer(
    gateway: Gateway, request: Request, response: Response, surface: Surface, url_user: str | None = None
) -> None:
    """Answer a request to a model. Raises ApiError for what an error answers, ClientLeft where nobody waits."""
    response.error_body = surface.error
    key = presented_key(request)
    snapshot = await gateway.snapshots.get(key)
    asked = surface.parse(await request.body(settings.MAX_BODY_BYTES))
    named = [request.headers.get(name.encode()) for name in identity.USER_HEADERS]
    user = UserRef(snapshot.id, identity.resolve(surface.named_user(asked.body), named, url_user))
    call = _Call(gateway, request, response, asked, user)
    with _CancelledWhenLeft(request, response):
        await call.run(key, snapshot)


class _CancelledWhenLeft:
    """Cancels the current task when the client closes the connection early, and turns that into ClientLeft."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response
        self._left = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task
        self._task = task
        self._watch = asyncio.create_task(self._request.left())
        self._watch.add_done_callback(self._cancel)

    def _cancel(self, watch: "asyncio.Task[None]") -> None:
        # Servers also say "disconnected" after a complete answer.
        if not watch.cancelled() and not self._response.finished:
            self._left = True
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._watch.remove_done_callback(self._cancel)
        self._watch.cancel()
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
        self._surface = asked.surface
        self._user = user
        self._hold = Reservation(gateway, request, user)
        self._meter: Meter | None = None

    async def run(self, key: str, snapshot: PaywallSnapshot) -> None:
        """Admit, forward, relay, settle. Whatever happens, the hold is resolved."""
        try:
            decision = await admit(self._gateway, key, snapshot, self._asked, self._user, self._hold)
            if isinstance(decision, Decision):
                await replies.send(self._request, self._response, self._asked, decision)
                return
            await self._forward(decision)
        except asyncio.CancelledError:
            if self._meter:
                self._meter.ending = Ending.CLIENT_LEFT
            raise
        finally:
            await self._hold.resolve(self._meter)

    async def _forward(self, model: ModelSnapshot) -> None:
        self._meter = meter = Meter(self._asked, model)
        # From here on the provider may have read the prompt, and bills for it.
        meter.billable = True
        try:
            async with asyncio.timeout(settings.UPSTREAM_TOTAL_SECONDS):
                answer = await upstream.send(
                    self._gateway.session, self._asked, model, self._request.named_headers()
                )
                try:
                    await self._relay(answer, meter)
                finally:
                    await answer.aclose()
        except (UpstreamUnreachable, UpstreamDied, TimeoutError) as error:
            await self._broken(meter, error)

    async def _broken(self, meter: Meter, error: Exception) -> None:
        """The provider failed us. Before the first byte that is an HTTP status; after it, one error frame."""
        log.warning("%s: provider failed: %s", self._request.public_id, error)
        if not self._response.started:
            told = (
                provider_errors.unreachable()
                if isinstance(error, UpstreamUnreachable)
                else provider_errors.died()
            )
            meter.billable, meter.error_code = False, told.code or ""
            await self._hold.resolve(meter)
            raise told
        meter.ending = Ending.UPSTREAM_DIED
        await self._hold.resolve(meter, within=SETTLE_BEFORE_END)
        await self._response.finish(self._surface.error_event(provider_errors.died()))

    async def _relay(self, answer: UpstreamResponse, meter: Meter) -> None:
        if answer.status != 200:
            await self._relay_error(answer, meter)
        elif _media_type(answer.headers) == "text/event-stream":
            await self._relay_stream(answer, meter)
        else:
            await self._relay_plain(answer, meter)

    async def _relay_error(self, answer: UpstreamResponse, meter: Meter) -> None:
        meter.billable, meter.error_code = False, "provider_error"
        body = await answer.read(provider_errors.MAX_ERROR_BYTES)
        error = provider_errors.translate(answer.status, body, answer.headers.get("retry-after"))
        meter.error_code = (error and error.code) or "provider_refused"
        await self._hold.resolve(meter)
        log.warning("%s: provider answered HTTP %s", self._request.public_id, answer.status)
        if error:
            raise error
        await self._response.whole(answer.status, body, _passed_headers(answer.headers))

    async def _relay_plain(self, answer: UpstreamResponse, meter: Meter) -> None:
        body = await answer.read(MAX_ANSWER_BYTES)
        try:
            plain = orjson.loads(body)
        except orjson.JSONDecodeError:
            plain = None
        if not isinstance(plain, dict):
            raise UpstreamDied("a plain answer that is no JSON object")
        meter.see_answer(plain)
        # Charges are committed before they are acknowledged.
        await self._hold.resolve(meter)
        await self._response.whole(200, body, _passed_headers(answer.headers))

    async def _relay_stream(self, answer: UpstreamResponse, meter: Meter) -> None:
        """Pass events on as they come. The last one, such as `[DONE]`, waits for the settlement."""
        events = sse.EventStream()
        reader = meter.read_stream()
        last = b""
        async for chunk in answer.chunks:
            passing = []
            for event in events.feed(chunk):
                shown = reader.see(event)
                if reader.is_last(event):
                    last = shown
                    break
                passing.append(shown)
            if ready := b"".join(passing):
                await self._pass(answer, ready)
            if last:
                break
        else:
            # Some providers end without [DONE], or without the last blank line.
            last = reader.see(events.rest)
            if not reader.finished:
                raise UpstreamDied("the stream stopped before its end")
        await self._hold.resolve(meter, within=SETTLE_BEFORE_END)
        if not self._response.started:
            await self._response.start(200, _stream_headers(answer.headers))
        await self._response.finish(last)

    async def _pass(self, answer: UpstreamResponse, data: bytes) -> None:
        # The status waits for the first event: until then a failure can still be told by HTTP.
        if not self._response.started:
            await self._response.start(200, _stream_headers(answer.headers))
        await self._response.write(data)


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _passed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What a client sees of the provider's headers: not its rate limits (the operator's own), not its cookies."""
    passed = {"content-type": headers.get("content-type", "application/json")}
    if upstream_id := headers.get("x-request-id"):
        passed["x-upstream-request-id"] = upstream_id
    return passed


def _stream_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {**_passed_headers(headers), "cache-control": "no-cache", "x-accel-buffering": "no"}
