"""Counting in Redis, for all processes.

The library takes one limit a round trip; a request stands under up to six, and takes all of them or none. So the
windows are the library's, key for key, and the script that takes them is ours. What is waiting goes together in one
pipeline, as the ledger's operations go in one transaction: one connection a process, one round trip for many requests.
"""

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from limits.aio.storage import RedisStorage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from proxy.limits import scripts
from proxy.limits.counting import LEASE, Return, Take, Taken
from proxy.limits.windows import WINDOW, Window

log = logging.getLogger("tollgate.limits")

# Seconds for one round trip; one that is slower counts as Redis being away.
TIMEOUT = 1.0
# Seconds between tries to reach a Redis that is away. No request waits for them.
RECONNECT_SECONDS = 1.0
# The most commands in one round trip.
MAX_BATCH = 200


class CountersAway(Exception):
    """Redis did not answer in time."""


@dataclass(slots=True)
class _Command:
    script: str
    keys: Sequence[str]
    arguments: Sequence[str | int]
    # What it takes and who waits for that; of other commands nobody reads the answer.
    take: Take | None = None
    answer: "asyncio.Future[Taken] | None" = None


class RedisCounters(RedisStorage):
    """One process's line to Redis.

    `away` from a failure until Redis has answered again, which is asked for in the background; what is sent meanwhile
    is refused at once.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            f"async+{url}",
            implementation="redispy",
            key_prefix="tollgate:limits",
            socket_connect_timeout=TIMEOUT,
            # A connection that the server had closed meanwhile is opened anew, once.
            retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type]
        )
        self._client: Any = self.bridge.get_connection()  # type: ignore[attr-defined]
        self._waiting: deque[_Command] = deque()
        self._arrived = asyncio.Event()
        # The slots of the requests under way, by lease.
        self._leases: dict[str, tuple[str, ...]] = {}
        self._closing = False
        self._runner = asyncio.create_task(self._run(), name="limits")
        self._renewer = asyncio.create_task(self._renew(), name="limits-leases")
        self._prober: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether Redis is not asked for now."""
        return self._prober is not None

    def submit(self, take: Take) -> "asyncio.Future[Taken]":
        """All or nothing of it, in one round trip. The answer raises CountersAway where Redis gives none."""
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        if self.away or self._closing:
            answer.set_exception(CountersAway())
            return answer
        keys = [part for rate in take.rates for part in self._window_keys(rate.key)]
        numbers = [number for rate in take.rates for number in (rate.limit, rate.amount)]
        numbers += [slot.limit for slot in take.slots]
        arguments: list[str | int] = [_ms(WINDOW), _ms(LEASE), take.lease, len(take.rates), *numbers]
        self._send(_Command(scripts.TAKE, [*keys, *self._slot_keys(take)], arguments, take, answer))
        return answer

    def give_back(self, given: Return) -> None:
        """Send it, after what was sent before. What can't be sent Redis forgets by itself, in a minute or two."""
        self._leases.pop(given.lease, None)
        if self.away or self._closing:
            return
        keys = [part for key, _ in given.differences for part in self._window_keys(key)]
        slots = [self.bridge.prefixed_key(key) for key in given.slots]
        differences = [difference for _, difference in given.differences]
        age = _ms(time.time() - given.taken_at)
        self._send(
            _Command(scripts.GIVE_BACK, [*keys, *slots], [_ms(WINDOW), given.lease, age, *differences])
        )

    async def is_news(self, key: str) -> bool:
        """Whether no process has said so in the last minute; also where Redis doesn't know."""
        told = self.bridge.prefixed_key(f"{key}\ttold")
        try:
            async with asyncio.timeout(TIMEOUT):
                return bool(await self._client.set(told, 1, nx=True, px=_ms(WINDOW)))
        except (RedisError, OSError, TimeoutError):
            return True

    async def close(self) -> None:
        """Send what is waiting, then disconnect."""
        self._closing = True
        self._renewer.cancel()
        if self._prober:
            self._prober.cancel()
        self._arrived.set()
        await self._runner
        await self._client.aclose()

    def _window_keys(self, key: str) -> tuple[str, str]:
        return (
            self.bridge.prefixed_key(self._previous_window_key(key)),
            self.bridge.prefixed_key(self._current_window_key(key)),
        )

    def _slot_keys(self, take: Take) -> tuple[str, ...]:
        return tuple(self.bridge.prefixed_key(slot.key) for slot in take.slots)

    def _send(self, command: _Command) -> None:
        self._waiting.append(command)
        self._arrived.set()

    async def _renew(self) -> None:
        """Tell Redis again and again which requests are under way."""
        while True:
            await asyncio.sleep(LEASE / 3)
            held = [(key, lease) for lease, keys in self._leases.items() for key in keys]
            for start in range(0, 0 if self.away else len(held), MAX_BATCH):
                part = held[start : start + MAX_BATCH]
                names = [lease for _, lease in part]
                self._send(
                    _Command(scripts.RENEW, [key for key, _ in part], [_ms(WINDOW), _ms(LEASE), *names])
                )

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                size = min(len(self._waiting), MAX_BATCH)
                await self._settle([self._waiting.popleft() for _ in range(size)])

    async def _settle(self, batch: list[_Command]) -> None:
        """Give every command its answer, or the news that Redis is away; the runner itself never dies of one."""
        try:
            async with asyncio.timeout(TIMEOUT):
                answers = await self._ask(batch)
        except Exception as error:  # whatever it is, requests go on
            self._lose(batch, error)
            return
        for command, values in zip(batch, answers, strict=True):
            if command.take and command.answer and not command.answer.done():
                taken = _taken(command.take, values)
                if taken.granted and command.take.slots:
                    self._leases[command.take.lease] = self._slot_keys(command.take)
                command.answer.set_result(taken)

    async def _ask(self, batch: list[_Command]) -> list[Any]:
        answers = await self._pipeline(batch)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # A Redis that has started anew; these commands did nothing. All are loaded, so that order is kept.
            for script in scripts.ALL:
                await self._client.script_load(script)
            again = await self._pipeline([batch[index] for index in unknown])
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _pipeline(self, batch: list[_Command]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in batch:
                pipeline.evalsha(_sha(command.script), len(command.keys), *command.keys, *command.arguments)
            return list(await pipeline.execute(raise_on_error=False))

    def _lose(self, batch: list[_Command], error: Exception) -> None:
        reason = str(error) or type(error).__name__
        log.warning("Redis is away, each process counts limits for itself: %s", reason)
        for command in [*batch, *self._waiting]:
            if command.answer and not command.answer.done():
                command.answer.set_exception(CountersAway())
        self._waiting.clear()
        if self._prober is None and not self._closing:
            self._prober = asyncio.create_task(self._regain(), name="limits-redis")

    async def _regain(self) -> None:
        while True:
            await asyncio.sleep(RECONNECT_SECONDS)
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._client.ping()
            except (RedisError, OSError, TimeoutError):
                continue
            break
        log.warning("Redis is back, limits are counted for all processes again")
        self._prober = None


def _taken(take: Take, values: Sequence[int]) -> Taken:
    """What the script answers: four numbers a rate (times in ms), one a slot, and whether it is granted."""
    granted = values[-1] == 1
    windows = []
    for index, rate in enumerate(take.rates):
        previous, previous_ttl, current, current_ttl = values[4 * index : 4 * index + 4]
        window = Window(previous, previous_ttl / 1000, current, current_ttl / 1000)
        windows.append(window.plus(rate.amount) if granted else window)
    in_use = values[4 * len(take.rates) : -1]
    # The answer's time, not the question's: a take that opened its window must not seem older than it.
    return Taken(granted, time.time(), tuple(windows), tuple(count + granted for count in in_use))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
