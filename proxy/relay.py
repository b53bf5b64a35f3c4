"""One provider's answer on its way to the client: passed on as it comes, metered, settled before its last byte."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import orjson

from proxy import marker, provider_errors, sse
from proxy.http import Response
from proxy.meter import Ending, Meter
from proxy.record import Record
from proxy.reservation import Reservation
from proxy.response import UpstreamDied, UpstreamResponse

# A provider's plain answer is kept in memory whole, up to this size.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Seconds that a finished stream waits for its settlement before it ends; the settlement itself goes on.
SETTLE_BEFORE_END = 5.0
# Seconds that a client has to read the end of its stream.
LAST_WORDS_SECONDS = 5.0


class Relay:
    """`began` once the first byte is here; from then on the timer is that of the whole answer, which ends at `ends`."""

    def __init__(
        self,
        response: Response,
        hold: Reservation,
        record: Record,
        meter: Meter,
        timer: asyncio.Timeout,
        ends: float,
    ) -> None:
        self._response = response
        self._hold = hold
        self._record = record
        self._meter = meter
        self._timer = timer
        self._ends = ends
        self.began = False
        # Whether the client is what we wait for.
        self.writing = False

    async def run(self, answer: UpstreamResponse) -> None:
        """Pass the answer on. Raises RouteFailed, ApiError for the client's own fault, UpstreamDied."""
        self._record.upstream_id = answer.headers.get("x-request-id", "")
        if answer.status in provider_errors.PASSED_ON:
            await self._refusal(answer)
        elif answer.status != HTTPStatus.OK:
            raise provider_errors.failure(answer.status, answer.headers.get("retry-after"))
        elif _media_type(answer.headers) == "text/event-stream":
            await self._stream(answer)
        else:
            await self._plain(answer)

    def _begin(self) -> None:
        self.began = True
        self._record.first_byte()
        self._timer.reschedule(self._ends)

    async def _settle(self, within: float | None = None) -> None:
        """The provider has done its part: its time is up no more."""
        self._timer.reschedule(None)
        await self._hold.resolve(self._meter, within=within)

    async def _refusal(self, answer: UpstreamResponse) -> None:
        """What the client did wrong, in the provider's own words where they are an error object."""
        self._begin()
        meter = self._meter
        meter.billable, meter.error_code = False, "provider_refused"
        body = await answer.read(provider_errors.MAX_ERROR_BYTES)
        self._record.status = answer.status
        await self._settle()
        if error := provider_errors.own_fault(answer.status, body):
            raise error
        await self._response.whole(answer.status, marker.removed(body), _passed_headers(answer.headers))

    async def _plain(self, answer: UpstreamResponse) -> None:
        self._begin()
        body = await answer.read(MAX_ANSWER_BYTES)
        try:
            plain = orjson.loads(body)
        except orjson.JSONDecodeError:
            plain = None
        if not isinstance(plain, dict):
            raise UpstreamDied("a plain answer that is no JSON object")
        self._meter.see_answer(plain)
        body = marker.removed(body)
        self._hold.keep_answer(body)
        # Charges are committed before they are acknowledged.
        await self._settle()
        await self._response.whole(HTTPStatus.OK, body, _passed_headers(answer.headers))

    async def _stream(self, answer: UpstreamResponse) -> None:
        """Pass events on as they come. The last one, such as `[DONE]`, waits for the settlement."""
        events = sse.EventStream()
        reader = self._meter.read_stream()
        last = b""
        async for chunk in answer.chunks:
            if not self.began:
                self._begin()
            skimmed, shown, rest = reader.skim(chunk) if events.is_between else (0, b"", chunk)
            passing = [shown] if skimmed else []
            came = events.feed(rest) if rest else []
            self._meter.events += skimmed + len(came)
            for event in came:
                shown = marker.removed_from(reader.see(event))
                if reader.failed and not (passing or self._response.started):
                    raise UpstreamDied("an error in place of an answer")
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
            last = marker.removed_from(reader.see(events.rest))
            if reader.failed or not reader.finished:
                if self._response.started and last:
                    await self._pass(answer, last)
                raise UpstreamDied("the stream stopped before its end")
        if reader.failed:
            self._meter.ending = Ending.UPSTREAM_DIED
        await self._settle(within=SETTLE_BEFORE_END)
        if not self._response.started:
            await self._response.start(HTTPStatus.OK, _stream_headers(answer.headers))
        self.writing = True
        self._timer.reschedule(asyncio.get_running_loop().time() + LAST_WORDS_SECONDS)
        await self._response.finish(last)

    async def _pass(self, answer: UpstreamResponse, data: bytes) -> None:
        # The status waits for the first event: until then another route can answer.
        if not self._response.started:
            await self._response.start(HTTPStatus.OK, _stream_headers(answer.headers))
        self.writing = True
        await self._response.write(data)
        self.writing = False


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
