"""One admitted request on its way to its providers: which is asked, for how long, and who is next when it fails.

Another route, or another try, comes only before the first byte has reached the client. The hold covers the dearest
route; what is charged is the one that served.
"""

import asyncio
import logging
import uuid
from contextlib import suppress

from django.conf import settings

from proxy import provider_errors, upstream
from proxy.gateway import Gateway
from proxy.http import Request, Response
from proxy.meter import Ending, Meter
from proxy.provider_errors import ProviderError, RouteFailed
from proxy.record import Record
from proxy.relay import LAST_WORDS_SECONDS, SETTLE_BEFORE_END, Relay
from proxy.reservation import Reservation
from proxy.response import AnswerTooLong, UpstreamDied
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest
from proxy.upstream import UpstreamUnreachable

log = logging.getLogger("tollgate.gateway")


class Forwarding:
    """`meter` watches the try that is under way; it is None before the first one."""

    def __init__(
        self,
        gateway: Gateway,
        request: Request,
        response: Response,
        asked: ModelRequest,
        hold: Reservation,
        record: Record,
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._response = response
        self._asked = asked
        self._hold = hold
        self._record = record
        self.meter: Meter | None = None

    async def run(self, model: ModelSnapshot) -> ProviderError | None:
        """Relay the answer of a route; where none gives one, release the hold and answer why. Raises ApiError for
        what was the client's own fault."""
        deadline = asyncio.get_running_loop().time() + settings.UPSTREAM_TOTAL_SECONDS
        failed = await self._try_routes(model.routes_for(self._asked.surface.name), deadline)
        if failed is None:
            return None
        meter = self.meter = self.meter or Meter(self._asked, model)
        meter.billable, meter.error_code = False, failed.told.code or ""
        self._record.status = failed.told.status
        await self._hold.resolve(meter)
        return failed.told

    async def _try_routes(self, routes: list[ModelSnapshot], deadline: float) -> RouteFailed | None:
        """Ask the routes in order, and those that are worth it again, until one answers; else the last failure."""
        routing, clock = self._gateway.routing, asyncio.get_running_loop().time
        routes = routing.in_order(routes)
        failed: RouteFailed | None = None
        # Why each route did not serve, by its key: whoever serves in the end, that counts once against it.
        failures: dict[uuid.UUID, tuple[ModelSnapshot, RouteFailed]] = {}
        try:
            round = 0
            while True:
                again: list[tuple[ModelSnapshot, RouteFailed]] = []
                for route in routes:
                    if clock() >= deadline or not routing.may_try(route):
                        continue
                    if round and self._record.attempts >= settings.UPSTREAM_ATTEMPTS:
                        break
                    failed = await self._try(route, deadline)
                    if failed is None:
                        failures.pop(route.route_id, None)
                        return None
                    failures[route.route_id] = route, failed
                    if failed.again:
                        again.append((route, failed))
                if not again or self._record.attempts >= settings.UPSTREAM_ATTEMPTS:
                    return failed or provider_errors.resting(settings.BREAKER_SECONDS)
                await asyncio.sleep(max(routing.wait(round), *(failure.wait for _, failure in again)))
                routes = [route for route, _ in again]
                round += 1
        finally:
            for route, failure in failures.values():
                if failure.is_fault:
                    routing.failed(route)

    async def _try(self, route: ModelSnapshot, deadline: float) -> RouteFailed | None:
        """Ask one route, and relay its answer; None where the client has got one, be it in part."""
        meter = self.meter = Meter(self._asked, route)
        body = self._asked.forwarded(route)
        self._record.asks(route)
        now, seconds = asyncio.get_running_loop().time(), route.provider.timeouts
        ends = min(now + seconds.total, deadline)
        # One timer: first for the first byte, then for the whole answer.
        timer = asyncio.timeout_at(min(now + seconds.first_byte, ends))
        relay = Relay(self._response, self._hold, self._record, meter, timer, ends)
        # From here on the provider may have read the prompt, and bills for it.
        meter.billable = True
        cause: Exception
        try:
            async with timer:
                answer = await upstream.send(
                    self._gateway.session, self._asked, route, body, self._request.named_headers()
                )
                try:
                    await relay.run(answer)
                finally:
                    await answer.aclose()
            if meter.told_failure:
                self._gateway.routing.failed(route)
            else:
                self._gateway.routing.works(route)
            return None
        except RouteFailed as error:
            cause = failure = error
        except UpstreamUnreachable as error:
            cause, failure = error, provider_errors.unreachable()
        except UpstreamDied as error:
            cause, failure = error, provider_errors.broke_off(again=not isinstance(error, AnswerTooLong))
        except TimeoutError as error:
            cause = error
            failure = provider_errors.broke_off(again=False) if relay.began else provider_errors.too_slow()
        log.warning("%s: %s failed: %s", self._request.public_id, route.provider.name, cause or "time-out")
        if self._response.started:
            # A client that takes all the time there is with reading is nothing that the provider could help.
            if not relay.writing:
                self._gateway.routing.failed(route)
            if not self._response.finished:
                await self._break_off(meter)
            return None
        meter.billable = False
        return failure

    async def _break_off(self, meter: Meter) -> None:
        """The provider failed after the first byte: what came is charged, one error frame tells, and that is all.

        The frame is the provider's own where it sent one. A client that doesn't read is not waited for.
        """
        meter.ending = Ending.UPSTREAM_DIED
        await self._hold.resolve(meter, within=SETTLE_BEFORE_END)
        told = b"" if meter.told_failure else self._asked.surface.error_event(provider_errors.died())
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._response.finish(told)
