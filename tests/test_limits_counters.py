"""Counting limits: all or nothing, exact under fire, in Redis for all processes and in the process alone."""

import asyncio
import logging
import time
import uuid

import pytest

from paywalls.limits import NO_RATES, Rates
from paywalls.users import UserRef
from proxy.limits import memory_counters, redis_counters
from proxy.limits.allowance import Allowance
from proxy.limits.counters import Counters
from proxy.limits.counting import Rate, Return, Slot, Take
from proxy.limits.errors import PromptTooLong, RateLimited, TooManyAtOnce
from proxy.limits.memory_counters import MemoryCounters
from proxy.limits.redis_counters import CountersAway, RedisCounters
from proxy.limits.windows import WINDOW
from tests.redis_server import RedisServer

ALICE = UserRef(uuid.UUID(int=1), "alice")


@pytest.fixture(scope="module")
def server():
    with RedisServer() as redis:
        yield redis


@pytest.fixture
def redis(server):
    client = server.client()
    client.flushall()
    return client


def requests_of(limit, amount=1, key="alice\trequests"):
    return Rate(key, "requests", limit, amount)


def take(*limited, lease="a"):
    rates = tuple(one for one in limited if isinstance(one, Rate))
    return Take(lease, rates, tuple(one for one in limited if isinstance(one, Slot)))


def in_redis(server, work, lines=1):
    """The answer of `work(line, …)`, on so many processes' lines to Redis."""

    async def run():
        counters = [RedisCounters(server.url) for _ in range(lines)]
        try:
            return await work(*counters)
        finally:
            for line in counters:
                await line.close()

    return asyncio.run(run())


def now(redis):
    seconds, micros = redis.time()
    return seconds * 1000 + micros // 1000


async def until(reached, pause=0.02):
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(pause)


class Memory:
    """The process's own counters on a clock that a test sets."""

    def __init__(self, monkeypatch):
        self.now = 1_800_000_000.0  # the start of a minute
        monkeypatch.setattr(memory_counters.time, "time", lambda: self.now)
        self.counters = MemoryCounters()

    def take(self, *limited, lease="a"):
        return self.counters.take(take(*limited, lease=lease))

    def give_back(self, differences, slots=(), lease="a", taken_at=None):
        given = Return(lease, tuple(differences.items()), tuple(slots), taken_at or self.now)
        self.counters.give_back(given)


@pytest.fixture
def memory(monkeypatch):
    return Memory(monkeypatch)


class TestInTheProcess:
    def test_a_limit_of_three_lets_three_in(self, memory):
        assert [memory.take(requests_of(3)).granted for _ in range(5)] == [True] * 3 + [False] * 2

    def test_the_minute_slides_so_that_no_edge_doubles_the_limit(self, memory):
        memory.now += 59.9
        assert all(memory.take(requests_of(10)).granted for _ in range(10))
        memory.now += 0.1
        assert not memory.take(requests_of(10)).granted
        memory.now += 30
        assert [memory.take(requests_of(10)).granted for _ in range(6)] == [True] * 5 + [False]

    def test_one_limit_that_refuses_takes_nothing_of_the_others(self, memory):
        mine, models = requests_of(5), requests_of(1, key="alice\tmodel\trequests")
        assert memory.take(mine, models).granted
        refused = memory.take(mine, models)
        assert not refused.granted
        assert [window.used for window in refused.windows] == [1, 1]

    def test_a_slot_is_free_once_it_is_given_back(self, memory):
        slot = Slot("alice", 1)
        assert memory.take(slot, lease="a").granted
        assert not memory.take(slot, lease="b").granted
        memory.give_back({}, ["alice"], lease="a")
        assert memory.take(slot, lease="b").granted

    def test_what_is_corrected_counts_in_its_own_minute(self, memory):
        memory.now += 50
        taken_at = memory.now
        memory.take(requests_of(100, amount=60))
        memory.now += 20
        memory.give_back({"alice\trequests": -50}, taken_at=taken_at)
        assert memory.take(requests_of(100, amount=90)).windows[0].previous == 10
        memory.give_back({"alice\trequests": -50}, taken_at=taken_at - 3600)  # of a minute that is long over

    def test_it_forgets_who_has_gone(self, memory):
        for user in range(100):
            memory.take(requests_of(5, key=f"user-{user}"))
        memory.now += 2 * WINDOW + 1
        memory.take(requests_of(5))
        assert len(memory.counters.storage) == len(memory.counters.expirations) == 1


class TestInRedis:
    def test_of_50_requests_of_two_processes_exactly_the_limit_is_let_in(self, server, redis):
        async def fire(one, other):
            asked = [
                line.submit(take(requests_of(7), Slot("alice", 100), lease=f"{index}"))
                for index, line in enumerate([one, other] * 25)
            ]
            return [taken.granted for taken in await asyncio.gather(*asked)]

        assert sum(in_redis(server, fire, lines=2)) == 7

    def test_of_50_requests_as_many_run_at_a_time_as_may(self, server, redis):
        async def fire(one, other):
            asked = [
                line.submit(take(requests_of(100), Slot("alice", 4), lease=f"{index}"))
                for index, line in enumerate([one, other] * 25)
            ]
            return await asyncio.gather(*asked)

        answers = in_redis(server, fire, lines=2)
        assert sum(taken.granted for taken in answers) == 4
        assert max(taken.windows[0].used for taken in answers) == 4, "the refused took no request"

    def test_the_minute_slides_so_that_no_edge_doubles_the_limit(self, server, redis):
        async def cross_the_edge(line):
            await line.submit(take(requests_of(10, amount=10)))
            [current] = redis.keys("*requests*")
            assert WINDOW < redis.pttl(current) / 1000 <= 2 * WINDOW
            redis.pexpire(current, 59_990)  # as if a minute had gone by
            at_the_edge = await line.submit(take(requests_of(10, amount=2)))
            redis.pexpire(current, 60_000 + 33_000)  # half a minute more
            redis.pexpire(current + b"/-1", 33_000)
            later = [await line.submit(take(requests_of(10))) for _ in range(6)]
            return at_the_edge, later

        at_the_edge, later = in_redis(server, cross_the_edge)
        assert not at_the_edge.granted
        assert [taken.granted for taken in later] == [True] * 5 + [False]

    def test_the_library_reads_the_same_windows(self, server, redis):
        async def compare(line):
            taken = await line.submit(take(requests_of(10, amount=4)))
            return taken.windows[0], await line.get_sliding_window("alice\trequests", int(WINDOW))

        window, (previous, _, current, current_ttl) = in_redis(server, compare)
        assert (window.previous, window.current) == (previous, current) == (0, 4)
        assert abs(window.current_ttl - current_ttl) < 1

    def test_what_is_corrected_counts_in_its_own_minute(self, server, redis):
        async def correct(line):
            taken_at = time.time()
            await line.submit(take(requests_of(100, amount=60)))
            [current] = redis.keys("*requests*")
            redis.pexpire(
                current, 59_000
            )  # a second into the next minute: what was taken is of the one before
            line.give_back(Return("a", (("alice\trequests", -50),), (), taken_at - 60))
            first = await line.submit(take(requests_of(100, amount=20)))
            line.give_back(Return("a", (("alice\trequests", -25),), (), time.time()))
            return first, await line.submit(take(requests_of(100)))

        first, second = in_redis(server, correct)
        assert (first.windows[0].previous, first.windows[0].current) == (10, 20)
        assert (second.windows[0].previous, second.windows[0].current) == (10, 1), "never below nothing"

    def test_what_opened_a_window_is_corrected_in_it(self, server, redis):
        async def correct(line):
            redis.client_pause(20, all=True)  # the answer is late, the window younger than the question
            taken = await line.submit(take(requests_of(100, amount=60)))
            line.give_back(Return("a", (("alice\trequests", -50),), (), taken.at))
            return (await line.submit(take(requests_of(100)))).windows[0]

        assert in_redis(server, correct).used == 11

    def test_a_redis_that_forgot_the_scripts_learns_them(self, server, redis):
        async def flush(line):
            await line.submit(take(requests_of(5)))
            redis.script_flush()
            return await asyncio.gather(*(line.submit(take(requests_of(5))) for _ in range(2)))

        assert [taken.windows[0].used for taken in in_redis(server, flush)] == [2, 3]

    def test_the_slot_of_a_process_that_died_is_free_when_its_lease_ends(self, server, redis, monkeypatch):
        monkeypatch.setattr(redis_counters, "LEASE", 0.2)

        async def die(line, other):
            assert (await line.submit(take(Slot("alice", 1)))).granted
            line._renewer.cancel()  # as kill -9 does
            assert not (await other.submit(take(Slot("alice", 1), lease="b"))).granted
            await until(
                lambda: redis.zrange("tollgate:limits:alice", 0, 0, withscores=True)[0][1] < now(redis)
            )
            assert (await other.submit(take(Slot("alice", 1), lease="b"))).granted

        in_redis(server, die, lines=2)

    def test_the_slot_of_a_long_stream_is_kept(self, server, redis, monkeypatch):
        monkeypatch.setattr(redis_counters, "LEASE", 0.3)

        async def stream(line, other):
            assert (await line.submit(take(Slot("alice", 1)))).granted
            [(_, first)] = redis.zrange("tollgate:limits:alice", 0, -1, withscores=True)
            await until(lambda: now(redis) > first + 300)
            refused = await other.submit(take(Slot("alice", 1), lease="b"))
            line.give_back(Return("a", (), ("alice",), time.time()))
            await asyncio.sleep(0)
            return refused

        assert not in_redis(server, stream, lines=2).granted
        assert redis.zcard("tollgate:limits:alice") == 0


class TestRedisGoesAway:
    def test_it_is_told_once_asked_for_in_the_background_and_used_again(self, monkeypatch, caplog):
        monkeypatch.setattr(redis_counters, "RECONNECT_SECONDS", 0.05)
        caplog.set_level(logging.WARNING, "tollgate.limits")

        async def outage(server):
            counters = Counters(server.url)
            assert (await allowed(counters, Rates(requests=2))) is None
            assert counters.state == "ok"
            server.stop()
            during = [await allowed(counters, Rates(requests=2)) for _ in range(3)]
            assert counters.state == "local"
            server.start()
            await until(lambda: counters.state == "ok")
            after = [await allowed(counters, Rates(requests=2)) for _ in range(3)]
            await counters.close()
            return during, after, server.client().keys("*")

        with RedisServer() as server:
            during, after, kept = asyncio.run(outage(server))
        assert [type(over) for over in during] == [type(None), type(None), RateLimited], "this process counts"
        assert [type(over) for over in after] == [type(None), type(None), RateLimited], "Redis started anew"
        assert kept
        told = [record.getMessage() for record in caplog.records]
        assert [message.partition(",")[0] for message in told] == ["Redis is away", "Redis is back"]

    def test_one_that_does_not_answer_is_waited_for_once(self, server, redis, monkeypatch):
        monkeypatch.setattr(redis_counters, "TIMEOUT", 0.1)
        monkeypatch.setattr(redis_counters, "RECONNECT_SECONDS", 60)

        async def hang(line):
            redis.client_pause(300, all=True)
            first = await asyncio.gather(line.submit(take(requests_of(1))), return_exceptions=True)
            second = line.submit(take(requests_of(1)))
            assert second.done(), "no request waits for a Redis that is away"
            return [*first, second.exception()]

        assert [type(error) for error in in_redis(server, hang)] == [CountersAway] * 2


async def allowed(counters, user_rates, model_rates=NO_RATES, *, prompt=10, output=20, headers=None):
    """What a request of alice is told that ends at once, having used 7 tokens; None where it is let in."""
    allowance = Allowance(counters, ALICE, uuid.uuid4(), {} if headers is None else headers)
    over = await allowance.take(user_rates, "m", model_rates, prompt=prompt, output=output)
    allowance.end(7)
    return over


def with_counters(work, url=""):
    async def run():
        counters = Counters(url)
        try:
            return await work(counters)
        finally:
            await counters.close()

    return asyncio.run(run())


class TestOneRequest:
    def test_without_limits_no_counter_is_asked(self):
        class Untouchable:
            own = None

            @property
            def shared(self):
                raise AssertionError("a counter was asked")

        headers = {}
        assert asyncio.run(allowed(Untouchable(), NO_RATES, headers=headers)) is None
        assert headers == {}

    def test_its_tokens_are_reserved_and_corrected_by_what_it_used(self):
        headers = {}

        async def ask(counters):
            return [await allowed(counters, Rates(tokens=50), headers=headers) for _ in range(4)]

        *admitted, over = with_counters(ask)
        assert admitted == [None] * 3, "30 fit beside twice 7"
        assert isinstance(over, RateLimited)
        assert over.room == 50 - 3 * 7 - 20, "a shorter prompt would fit"
        assert headers["x-ratelimit-remaining-tokens"] == "29"

    def test_it_reserves_at_most_all_that_a_minute_allows(self):
        async def ask(counters):
            return [await allowed(counters, Rates(tokens=50), output=4_096) for _ in range(2)]

        first, second = with_counters(ask)
        assert first is None
        assert isinstance(second, RateLimited)

    def test_a_prompt_that_no_minute_has_room_for_is_refused_for_good(self):
        async def ask(counters):
            return await allowed(counters, Rates(tokens=50), prompt=51, output=0)

        over = with_counters(ask)
        assert isinstance(over, PromptTooLong)
        assert (over.status, over.room) == (400, 50)

    def test_the_tighter_of_two_limits_is_shown(self):
        headers = {}

        async def ask(counters):
            return await allowed(counters, Rates(requests=10, tokens=100), Rates(requests=3), headers=headers)

        assert with_counters(ask) is None
        reset = headers.pop("x-ratelimit-reset-requests"), headers.pop("x-ratelimit-reset-tokens")
        assert headers == {
            "x-ratelimit-limit-requests": "3",
            "x-ratelimit-remaining-requests": "2",
            "x-ratelimit-limit-tokens": "100",
            "x-ratelimit-remaining-tokens": "70",
        }
        assert all(duration.endswith("s") for duration in reset)

    def test_who_is_refused_is_told_when_it_fits(self):
        async def ask(counters):
            return [await allowed(counters, Rates(requests=1)) for _ in range(2)][1]

        over = with_counters(ask)
        assert over.status == 429
        assert 1 <= int(over.headers["Retry-After"]) <= 120
        assert "your limit of 1 requests a minute" in over.message

    def test_a_limit_that_changes_while_it_is_admitted_is_asked_anew(self):
        async def ask(counters):
            assert await allowed(counters, Rates(requests=3)) is None
            allowance = Allowance(counters, ALICE, uuid.uuid4(), {})
            asked = {"prompt": 1, "output": 1}
            assert await allowance.take(Rates(requests=3), "m", NO_RATES, **asked) is None
            assert await allowance.take(Rates(requests=3), "m", NO_RATES, **asked) is None
            over = await allowance.take(Rates(requests=1), "m", NO_RATES, **asked)
            return over, await allowed(counters, Rates(requests=2))

        over, after = with_counters(ask)
        assert isinstance(over, RateLimited)
        assert after is None, "what was taken before is given back"

    def test_a_client_that_leaves_before_redis_answers_leaves_no_slot_behind(self, server, redis):
        async def leave(counters):
            for early in (True, False):
                allowance = Allowance(counters, ALICE, uuid.uuid4(), {})
                asking = asyncio.create_task(
                    allowance.take(Rates(concurrent=1), "m", NO_RATES, prompt=1, output=1)
                )
                await asyncio.sleep(0)
                taking = allowance._taking
                if not early:
                    # Redis has answered, and the request hasn't looked yet.
                    await until(taking.done, 0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                assert asking.cancelled()
                allowance.end(0)
                await taking
                await asyncio.sleep(0)
                assert await allowed(counters, Rates(concurrent=1)) is None
            return counters.shared._leases

        assert with_counters(leave, server.url) == {}

    def test_keys_of_users_and_models_cannot_be_mixed_up(self):
        async def ask(counters):
            mixed = [UserRef(ALICE.paywall_id, "a/b"), UserRef(ALICE.paywall_id, "a")]
            over = []
            for user, model in zip(mixed, ("c", "b/c"), strict=True):
                allowance = Allowance(counters, user, uuid.uuid4(), {})
                over.append(await allowance.take(NO_RATES, model, Rates(requests=1), prompt=1, output=1))
            return over

        assert with_counters(ask) == [None, None]

    def test_too_many_at_once_are_told_so(self):
        async def ask(counters):
            first = Allowance(counters, ALICE, uuid.uuid4(), {})
            assert await first.take(Rates(concurrent=1), "m", NO_RATES, prompt=1, output=1) is None
            over = await allowed(counters, Rates(concurrent=1))
            first.end(None)
            return over, await allowed(counters, Rates(concurrent=1))

        over, after = with_counters(ask)
        assert isinstance(over, TooManyAtOnce)
        assert (over.code, over.headers) == ("concurrency_limit_exceeded", {"Retry-After": "1"})
        assert after is None

    def test_a_flood_of_refusals_is_news_once(self):
        async def ask(counters):
            return [await counters.is_news(key) for key in ("alice", "alice", "alice", "bob")]

        assert with_counters(ask) == [True, False, False, True]

    def test_of_two_processes_one_tells_it(self, server, redis):
        async def ask(counters):
            return [await counters.is_news(key) for key in ("alice", "alice", "bob")]

        assert with_counters(ask, server.url) == [True, False, True]
        assert with_counters(ask, server.url) == [False] * 3
        assert 59_000 < redis.pttl("tollgate:limits:alice\ttold") <= 60_000
        redis.flushall()
        assert with_counters(ask, server.url) == [True, False, True], "a minute later it is news again"

    def test_what_redis_does_not_know_is_told(self, server, redis, monkeypatch):
        monkeypatch.setattr(redis_counters, "TIMEOUT", 0.05)

        async def ask(counters):
            redis.client_pause(300, all=True)
            return [await counters.is_news("alice") for _ in range(2)]

        assert with_counters(ask, server.url) == [True, False]
