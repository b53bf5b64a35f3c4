"""Faults of our own beside a request: its hold is resolved, its row is written, its neighbors don't notice."""

import asyncio
import functools
import threading
import uuid
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from ledger import requests, unsettled
from ledger.operations import Capture, Held, Release, Resolved
from paywalls.limits import NO_RATES, Rates
from paywalls.pricing import Price
from paywalls.usage import Usage
from paywalls.users import UserRef
from proxy import journal as journals
from proxy.journal import Journal
from proxy.limits.allowance import Allowance
from proxy.limits.counters import Counters
from proxy.merging import Merged
from proxy.meter import Meter
from proxy.record import Record
from proxy.reservation import Reservation
from proxy.surfaces import SURFACES
from tests.test_routing import route

CHAT = SURFACES["/chat/completions"]
BODY = b'{"model": "m", "user": "alice", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
ALICE = UserRef(uuid.uuid4(), "alice")


def on_a_loop(test):
    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (no event tells of it)
            await asyncio.sleep(0)


class Panic(BaseException):
    """What the tokenizer's own language makes of its faults."""


def meter_of(body: bytes = BODY) -> Meter:
    model = route("up")
    price = Price(prompt=1_000_000_000, completion=2_000_000_000)
    object.__setattr__(model, "price", price)
    return Meter(CHAT.parse(body), model)


@pytest.mark.parametrize("fault", [RuntimeError("no tokens"), Panic("no tokens")])
@on_a_loop
async def test_a_stream_that_cant_be_counted_is_charged_by_its_size(fault, monkeypatch, caplog):
    monkeypatch.setattr(type(CHAT), "count_prompt", lambda self, body: (_ for _ in ()).throw(fault))
    meter = meter_of()
    meter.read_stream()
    meter.events = 7
    charge = await meter.charge(10**12)
    assert charge.estimated
    assert charge.metadata["estimated"] is True
    assert charge.used == Usage(input=len(BODY.replace(b" ", b"")) // 4, output=7)
    assert meter.tokens == charge.used.input + 7
    assert "could not be counted" in caplog.text


@on_a_loop
async def test_a_rough_count_never_charges_more_than_was_held(monkeypatch):
    monkeypatch.setattr(type(CHAT), "count_prompt", lambda self, body: 1 // 0)
    assert (await meter_of().charge(5)).amount == 5


# --- The hold ----------------------------------------------------------------------------------------------


class Books:
    """A ledger that holds whatever it is asked to, and then does what a test says."""

    def __init__(self, fault=None):
        self.posted, self.fault = [], fault

    def submit(self, operation, *, patience):
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(Held(uuid.uuid4()))
        return answer

    async def post(self, operation, *, patience):
        self.posted.append(operation)
        if self.fault:
            raise self.fault
        return Resolved(0, 0)


async def resolved(books: Books, meter: Meter) -> Record:
    """What is remembered of a request of 1,000 nano-dollars that was held and resolved."""
    gateway = SimpleNamespace(
        books=books,
        wallet=lambda user: (user, None),
        remember_wallet=lambda *known: None,
        spawn=asyncio.create_task,
    )
    snapshot = SimpleNamespace(
        guard=None, spend_limits=None, wanted_events=frozenset(), replays=False, link=None
    )
    record = Record(uuid.uuid4(), ALICE, CHAT.parse(BODY))
    hold = Reservation(gateway, ALICE, record)
    assert await hold.place(1_000, snapshot, SimpleNamespace(model_id="m", spend=None)) is None
    meter.billable = True
    await hold.resolve(meter)
    return record


@on_a_loop
async def test_what_cant_be_counted_is_captured_with_no_more_than_was_held(monkeypatch):
    monkeypatch.setattr(type(CHAT), "count_prompt", lambda self, body: 1 // 0)
    books, meter = Books(), meter_of()
    await resolved(books, meter)
    [capture] = books.posted
    assert isinstance(capture, Capture)
    assert (capture.amount, capture.request.charge, capture.request.estimated) == (1_000, 1_000, True)


@on_a_loop
async def test_what_cant_be_priced_frees_its_hold(monkeypatch):
    monkeypatch.setattr(Meter, "_priced", lambda self, used, *, estimated: 1 // 0)
    books = Books()
    await resolved(books, meter_of())
    [release] = books.posted
    assert isinstance(release, Release)
    assert (release.request.status, release.request.reason) == ("failed", "server_error")


@on_a_loop
async def test_a_settlement_that_the_database_refuses_is_kept_on_the_disk(monkeypatch):
    kept = []
    monkeypatch.setattr(unsettled, "keep", kept.append)
    books = Books(ValueError("a row that nobody takes"))
    await resolved(books, meter_of())
    assert kept == books.posted


# --- The journal -------------------------------------------------------------------------------------------


def row(model: str = "m"):
    return Record(uuid.uuid4(), ALICE, CHAT.parse(BODY.replace(b'"m"', f'"{model}"'.encode()))).refused(
        "x", 404
    )


@pytest.fixture
def written(monkeypatch):
    """What journals have written, which try to all the time."""
    monkeypatch.setattr(journals, "FLUSH_SECONDS", 0)
    return []


@asynccontextmanager
async def a_journal():
    journal = Journal()
    try:
        yield journal
        assert not journal._runner.done()
    finally:
        await journal.close()


@on_a_loop
async def test_a_row_that_cant_be_written_costs_no_other_and_the_journal_goes_on(
    written, monkeypatch, caplog
):
    bad, before, after, later = row("bad"), row(), row(), row()

    def note(rows):
        if bad in rows:
            raise ValueError("no such row")
        written.extend(rows)

    monkeypatch.setattr(requests, "note", note)
    async with a_journal() as journal:
        for one in (before, bad, after):
            journal.add(one)
        await until(lambda: len(written) == 2)
        journal.add(later)
        await until(lambda: len(written) == 3)
    assert written == [before, after, later]
    assert "is lost" in caplog.text


@on_a_loop
async def test_while_the_database_is_away_rows_wait_and_the_oldest_give_way(written, monkeypatch):
    is_there = asyncio.Event()
    tries = []

    def note(rows):
        tries.append(len(rows))
        if not is_there.is_set():
            raise OperationalError("away")
        written.extend(rows)

    monkeypatch.setattr(requests, "note", note)
    monkeypatch.setattr(journals, "MAX_WAITING", 5)
    rows = [row() for _ in range(8)]
    async with a_journal() as journal:
        for one in rows:
            journal.add(one)
        await until(lambda: len(tries) > 3)
        is_there.set()
        await until(lambda: len(written) == 5)
    assert written == rows[3:]
    assert max(tries) <= 5


@on_a_loop
async def test_what_can_never_be_written_piles_up_nowhere(written, monkeypatch):
    def note(rows):
        raise RuntimeError("always")

    monkeypatch.setattr(requests, "note", note)
    async with a_journal() as journal:
        for _ in range(50):
            journal.add(row())
        await until(lambda: not journal._waiting)


@on_a_loop
async def test_what_is_being_written_when_the_server_stops_is_written(written, monkeypatch):
    begun, stopping = threading.Event(), threading.Event()

    def note(rows):
        begun.set()
        if not stopping.is_set():
            stopping.wait(10)
            raise OperationalError("the first try is lost")
        written.extend(rows)

    monkeypatch.setattr(requests, "note", note)
    journal, rows = Journal(), [row(), row()]
    for one in rows:
        journal.add(one)
    await until(begun.is_set)
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    stopping.set()
    await closing
    assert written == rows


@pytest.mark.django_db
def test_a_models_name_with_a_zero_byte_can_be_remembered():
    facts = row(r"gpt\u0000")
    assert facts.model == "gpt�"
    assert "\0" not in Record(uuid.uuid4(), ALICE, CHAT.parse(BODY.replace(b'"m"', rb'"a\u0000"'))).about()


# --- Limits, and what many ask at once ---------------------------------------------------------------------


@on_a_loop
async def test_a_request_that_is_looked_at_anew_counts_once():
    counters = Counters("")
    rates = Rates(requests=2)

    async def take(name: str):
        allowance = Allowance(counters, UserRef(ALICE.paywall_id, name), uuid.uuid4(), {})
        return allowance, await allowance.take(rates, "m", NO_RATES, prompt=1, output=1)

    first, _ = await take("alice")
    first.undo()
    first.end(0)
    assert [(await take("alice"))[1] for _ in range(2)] == [None, None]
    assert (await take("alice"))[1] is not None


@on_a_loop
async def test_simultaneous_calls_are_one_and_nobody_gets_an_older_answer():
    calls, gate = [], asyncio.Event()

    async def work(key):
        calls.append(key)
        number = len(calls)
        await gate.wait()
        return number

    merged = Merged(work)
    first = asyncio.create_task(merged("a"))
    await until(lambda: calls)
    # These came after the first call began: what it answers may be from before.
    later = [asyncio.create_task(merged("a")) for _ in range(50)]
    other = asyncio.create_task(merged("b"))
    await until(lambda: len(calls) == 2)
    later[0].cancel()
    gate.set()
    assert await first == 1
    assert await other == 2
    assert await asyncio.gather(*later[1:]) == [3] * 49
    assert calls == ["a", "b", "a"]


@on_a_loop
async def test_a_call_that_fails_fails_for_all_who_wait_and_the_next_is_asked_anew():
    answers = iter([OSError("away"), "there"])

    async def work(key):
        await asyncio.sleep(0)
        if isinstance(answer := next(answers), OSError):
            raise answer
        return answer

    merged = Merged(work)
    failed = await asyncio.gather(merged("a"), merged("a"), return_exceptions=True)
    assert [str(error) for error in failed] == ["away", "away"]
    assert await merged("a") == "there"
