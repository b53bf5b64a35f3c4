"""The gateway's queue: what waits goes together, one poison operation fails alone, a dead connection is replaced."""

import asyncio

import psycopg
import pytest
from django.db import connection

from config import ids
from config.db import connection_parameters
from ledger import group_commit, services
from ledger.errors import Contention, InsufficientFunds
from ledger.group_commit import GroupCommit, LedgerAway
from ledger.models import Account, Transfer
from ledger.operations import Capture, Debit, Held, PlaceHold, Receipt, Resolved
from ledger.pipeline import Pipeline
from ledger.verification import verify
from paywalls.users import UserRef
from tests.factories import make_paywall

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wallet():
    """A wallet with 1,000 nano-dollars."""
    user = UserRef(make_paywall(trial_credit=0).id, "alice")
    return services.deposit(user, 1_000, source="deposit:1").account_id


def debit(wallet, amount, source=None, **metadata):
    return Debit(wallet, amount, source or f"charge:{ids.new().hex}", "charge", "revenue", metadata)


def run(work, parameters=connection_parameters):
    """Run `work(books)` on an event loop with an open queue."""

    async def main():
        books = GroupCommit(parameters)
        try:
            return await work(books)
        finally:
            await books.close()

    return asyncio.run(main())


def test_what_waits_is_posted_together_and_in_order(wallet, monkeypatch):
    batches = []
    drive = group_commit._drive

    async def counted(conn, operations, waits_for_disk):
        batches.append(len(operations))
        return await drive(conn, operations, waits_for_disk)

    monkeypatch.setattr(group_commit, "_drive", counted)

    async def work(books):
        return await asyncio.gather(*(books.post(debit(wallet, n), patience=5) for n in range(1, 21)))

    outcomes = run(work)
    assert [outcome.amount for outcome in outcomes] == list(range(1, 21))
    assert [outcome.balance_after for outcome in outcomes] == [1_000 - n * (n + 1) // 2 for n in range(1, 21)]
    assert sum(batches) == 20
    assert len(batches) <= 3


def test_a_hold_and_its_settlement(wallet):
    async def work(books):
        hold_id = ids.new()
        held = await books.post(PlaceHold(wallet, hold_id, 500, 60), patience=5)
        refused = await books.post(PlaceHold(wallet, ids.new(), 501, 60), patience=5)
        settled = await books.post(Capture(wallet, hold_id, 20, f"usage:{hold_id.hex}"), patience=5)
        return held, refused, settled

    held, refused, settled = run(work)
    assert isinstance(held, Held)
    assert isinstance(refused, InsufficientFunds)
    assert isinstance(settled, Resolved)
    assert settled.balance_after == 980
    assert list(verify()) == []


def test_one_operation_that_the_database_cannot_take_fails_alone(wallet):
    async def work(books):
        operations = [debit(wallet, 1), debit(wallet, 1, text="\0"), debit(wallet, 1)]
        posts = (books.post(operation, patience=5) for operation in operations)
        return await asyncio.gather(*posts, return_exceptions=True)

    outcomes = run(work)
    assert [type(outcome) for outcome in outcomes] == [
        Receipt,
        psycopg.errors.UntranslatableCharacter,
        Receipt,
    ]
    assert Account.objects.get(pk=wallet).posted == 998


def test_a_source_that_another_process_brings_meanwhile_is_answered_not_repeated(wallet):
    operation = debit(wallet, 10, "charge:x")

    async def work(books):
        return await books.post(operation, patience=5)

    first, second = run(work), run(work)
    assert second.replayed
    assert second.transfer_id == first.transfer_id


def test_a_terminated_connection_is_replaced(wallet):
    async def work(books):
        await books.post(debit(wallet, 1), patience=5)
        pid = books._connection.info.backend_pid
        await asyncio.to_thread(terminate, pid)
        return await books.post(debit(wallet, 1), patience=5)

    assert run(work).balance_after == 998


async def until(condition):
    """Wait for what another task does."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.01)


def terminate(pid):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        connection.close()


def test_a_commit_whose_answer_was_lost_is_not_repeated(wallet, monkeypatch):
    """COMMIT succeeds, the connection dies before we hear of it: the retry answers the first outcome."""
    drive = group_commit._drive
    lost = []

    async def deaf(conn, operations, waits_for_disk):
        outcomes, durable = await drive(conn, operations, waits_for_disk)
        if not lost:
            lost.append(outcomes)
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return outcomes, durable

    monkeypatch.setattr(group_commit, "_drive", deaf)

    async def work(books):
        return await books.post(debit(wallet, 10), patience=5)

    outcome = run(work)
    assert outcome.replayed
    assert outcome.transfer_id == lost[0][0].transfer_id
    assert Transfer.objects.filter(kind="charge").count() == 1


def test_an_operation_gives_up_when_its_patience_ends_and_close_does_not_hang(wallet):
    away = {"host": "127.0.0.1", "port": "1", "dbname": "x", "connect_timeout": 1}

    async def work(books):
        with pytest.raises(LedgerAway):
            await books.post(debit(wallet, 10), patience=0.3)

    run(work, lambda: away)


def test_the_queue_has_a_bound(wallet, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_WAITING", 3)

    async def work(books):
        posts = [asyncio.ensure_future(books.post(debit(wallet, 1), patience=5)) for _ in range(5)]
        return await asyncio.gather(*posts, return_exceptions=True)

    outcomes = run(work)
    assert [type(outcome) for outcome in outcomes] == [Receipt] * 3 + [LedgerAway] * 2


def test_a_wallet_that_is_busy_keeps_nobody_else_waiting(wallet):
    """Somebody has a wallet locked, for as long as it takes: its own operations wait or give up, others go on."""
    other = services.deposit(
        UserRef(make_paywall(trial_credit=0).id, "bob"), 1_000, source="deposit:2"
    ).account_id

    async def work(books):
        async with await psycopg.AsyncConnection.connect(**connection_parameters()) as locker:
            await locker.execute("SELECT 1 FROM ledger_account WHERE id = %s FOR UPDATE", [wallet])
            patient = books.submit(debit(wallet, 1), patience=60)
            hasty = books.submit(debit(wallet, 2), patience=0.1)
            free = await books.post(debit(other, 3), patience=5)
            with pytest.raises(Contention):
                await hasty
            assert not patient.done()
            again = await books.post(debit(other, 4), patience=5)
        return free, again, await patient

    free, again, patient = run(work)
    assert [free.balance_after, again.balance_after, patient.balance_after] == [997, 993, 999]


def test_a_settlement_is_waited_for_where_its_wallet_is_busy_when_the_server_stops(wallet):
    async def work(books):
        async with await psycopg.AsyncConnection.connect(**connection_parameters()) as locker:
            await locker.execute("SELECT 1 FROM ledger_account WHERE id = %s FOR UPDATE", [wallet])
            waiting = books.submit(debit(wallet, 1), patience=60)
            await until(lambda: books._aside)
            closing = asyncio.create_task(books.close())
        await closing
        return waiting.result()

    assert run(work).balance_after == 999


def test_what_was_committed_goes_again_where_nobody_knows_that_the_disk_has_it(wallet):
    async def work(books):
        await two(books, wallet)
        await asyncio.to_thread(terminate, books._flushing.info.backend_pid)
        return await two(books, wallet)

    assert [outcome.balance_after for outcome in run(work)] == [997, 996]
    assert Transfer.objects.filter(kind="charge").count() == 4
    assert list(verify()) == []


def test_nothing_is_answered_before_the_disk_has_it(wallet, monkeypatch):
    """The posting connection does not wait for the disk, so an answer must wait for the one that does."""
    flushes = []

    async def flush(books, batches):
        flushes.append(len(batches))

    async def work(books):
        with monkeypatch.context() as patch:
            patch.setattr(GroupCommit, "_flush", flush)
            answers = [books.submit(debit(wallet, 1), patience=5) for _ in range(2)]
            await until(lambda: flushes)
            assert not any(answer.done() for answer in answers)
        for answer in answers:
            answer.cancel()

    run(work)
    assert Transfer.objects.filter(kind="charge").count() == 2


def test_an_operation_that_nobody_waits_behind_waits_for_the_disk_itself(wallet, monkeypatch):
    """One round trip less. Whatever else is under way, its commit is as durable as any."""
    seen, send = [], Pipeline.run

    async def watched(pipeline, statements):
        seen.append([statement.text for statement in statements])
        return await send(pipeline, statements)

    monkeypatch.setattr(Pipeline, "run", watched)

    async def work(books):
        await books.post(debit(wallet, 1), patience=5)
        assert books._flushing is None
        alone = seen[-1][-2:]
        await two(books, wallet)
        return alone, [texts for texts in seen if texts[-1] == "COMMIT"][-1]

    alone, together = run(work)
    assert alone == ["SET LOCAL synchronous_commit = on", "COMMIT"]
    assert "SET LOCAL synchronous_commit = on" not in together


async def two(books, wallet):
    """Two debits that go in one batch."""
    return await asyncio.gather(*(books.post(debit(wallet, 1), patience=5) for _ in range(2)))
