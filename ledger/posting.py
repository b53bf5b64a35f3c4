"""The one writer of money: a batch of operations in, one transaction, an outcome for each.

`steps()` is the whole of it as a generator that never touches a connection: it yields the statements of a round
trip and is sent their rows. `post()` drives it on Django's connection, `group_commit.py` on the gateway's event
loop. A batch costs the same few statements whether it holds one operation or a thousand:

1. find the wallets of the end users that are named by the app's own id; make those that are missing (rare)
2. lock the accounts in id order, read their lots, the holds, the sources that are known
3. apply the operations in order through `book.py`; one that doesn't fit is refused and changes nothing for the others
4. write each table with one statement
"""

import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

from django.db import DatabaseError, connection, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from psycopg.pq import Format

from config.sql import Rows, Work
from ledger import events, statements
from ledger.batch import Batch
from ledger.errors import Contention, NotConnected, Refusal, UnknownPaywall
from ledger.models.modelspend import key_of
from ledger.operations import (
    Burns,
    Capture,
    Expire,
    Move,
    Operation,
    Outcome,
    PlaceHold,
    Receipt,
    Refund,
    Release,
    Reverse,
    Sourced,
    Sweep,
)
from ledger.state import State
from ledger.wallets import Found, find_or_make, make_house_accounts
from paywalls import users
from paywalls.users import UserRef

# Here and not where they are asked for: a union is made anew each time.
_SETTLES = (Capture, Release)
_RESOLVES = (*_SETTLES, Sweep)
_OF_REQUESTS = (PlaceHold, *_SETTLES)
_OF_HOLDS = (PlaceHold, *_RESOLVES)
_SOURCED: tuple[type, ...] = get_args(Sourced)
_BURNS = {Capture, Expire, Burns, *_SOURCED}

ATTEMPTS = 6
LOCK_TIMEOUT_SECONDS = 3

# Somebody else was faster, or the rows were busy: the same batch may simply be tried again.
_RETRYABLE = {
    "23505",  # unique_violation: another transaction brought the same source, hold or user
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
}


def post(operations: Sequence[Operation]) -> list[Outcome]:
    """Carry out a batch in one transaction (inside the caller's, where there is one); an outcome each, in order.

    A refusal is an outcome and is not raised: see `post_one`. An operation whose source, or hold, is known answers
    its first outcome again. Raises Contention where the database stayed busy, having changed nothing.
    """
    outcomes: list[Outcome] = run(lambda: steps(operations))
    return outcomes


def run(work: Callable[[], Work]) -> Any:
    """The result of round trips in one transaction (inside the caller's, where there is one).

    `work` is called anew for each attempt. Raises what it raises, and Contention as `post` does.
    """
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _drive(work())
        except DatabaseError as error:
            if not is_retryable(error):
                raise
            time.sleep(backoff(attempt))
    raise Contention(f"the wallet stayed busy over {ATTEMPTS} attempts")


def open_books(tenant_id: uuid.UUID) -> None:
    """Make a tenant's house accounts, where they are missing; inside the caller's transaction."""
    _drive(make_house_accounts([tenant_id]))


def post_one(operation: Operation) -> Outcome:
    """The outcome of a batch of one. Raises its Refusal, or Contention."""
    [outcome] = post([operation])
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def post_receipt(operation: Sourced) -> Receipt:
    """The receipt of one movement. Raises its Refusal, or Contention."""
    receipt = post_one(operation)
    assert isinstance(receipt, Receipt)
    return receipt


def is_retryable(error: Exception) -> bool:
    """Whether the same batch may be tried again after this database error, whatever wraps it."""
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    return getattr(cause, "sqlstate", None) in _RETRYABLE


def backoff(attempt: int) -> float:
    """Seconds to wait before another try: doubling from 5 ms, with full jitter."""
    return random.uniform(0, 0.005 * 2**attempt)  # noqa: S311  (spreads load, guards nothing)


def steps(operations: Sequence[Operation]) -> Work:
    """The batch as round trips; returns the outcomes. Run it inside a transaction."""
    refs = {op.wallet for op in operations if isinstance(op.wallet, UserRef)}
    refs.update(op.to for op in operations if isinstance(op, Move) and isinstance(op.to, UserRef))
    found = Found()
    if refs:
        found = yield from find_or_make(refs)
    # Trial credits go first, so that the batch can spend them. Where another transaction granted one meanwhile, ours
    # is a replay or a refusal, and nobody asked for its outcome.
    todo = [*found.gifts, *operations]
    if refs:
        todo = [_with_payee(op, found.accounts) for op in todo]
    account_ids = [
        found.accounts.get(wallet) if isinstance(wallet := op.wallet, UserRef) else wallet for op in todo
    ]
    connections = [_connection_of(op, found) for op in todo]
    state, batch = yield from _read(todo, account_ids, connections)
    outcomes: list[Outcome] = []
    happened: list[tuple[Operation, uuid.UUID, Outcome]] = []
    for op, account_id, key in zip(todo, account_ids, connections, strict=True):
        try:
            if account_id is None or (isinstance(op, Move) and isinstance(op.to, UserRef)):
                raise _no_wallet(op, found)
            outcome = batch.apply(op, account_id, key)
        except Refusal as refusal:
            outcome = refusal
        outcomes.append(outcome)
        if account_id is not None and events.is_news(op, outcome):
            happened.append((op, key or _connection_of_hold(op, state) or account_id, outcome))
    told = yield from events.announce(happened, state.crossings, state.fees)
    if state.crossings:
        told = [*told, statements.insert_auto_charges([low.account_id for low in state.crossings])]
    if writes := state.writes() + told:
        yield writes
    return outcomes[len(found.gifts) :]


def _connection_of(op: Operation, found: Found) -> uuid.UUID | None:
    """Through what a shared wallet pays for the operation, where it or its end user says so."""
    if isinstance(op.wallet, UserRef):
        return found.connections.get(op.wallet)
    return op.connection if isinstance(op, _OF_REQUESTS) else None


def _connection_of_hold(op: Operation, state: State) -> uuid.UUID | None:
    """Through what a shared wallet was held, where the operation resolves a hold."""
    hold = state.holds.get(op.hold_id.int) if isinstance(op, _RESOLVES) else None
    return hold.connection if hold else None


def _no_wallet(op: Operation, found: Found) -> Refusal:
    wallets = (op.wallet, op.to) if isinstance(op, Move) else (op.wallet,)
    if found.unconnected.intersection(wallets):
        return NotConnected("the user is connected to no wallet")
    return UnknownPaywall(f"there is no paywall {op.wallet}")


def _with_payee(op: Operation, wallets: dict[UserRef, uuid.UUID]) -> Operation:
    """A move with its payee's account, where that was found."""
    if isinstance(op, Move) and isinstance(op.to, UserRef):
        return replace(op, to=wallets.get(op.to, op.to))
    return op


def _read(
    operations: Sequence[Operation],
    account_ids: Sequence[uuid.UUID | None],
    connections: Sequence[uuid.UUID | None],
) -> Work:
    """Lock and read all that the batch needs, in one round trip.

    Two where a credit has expired, or a hold's connection or windows weren't named.
    """
    of: defaultdict[type, list[Any]] = defaultdict(list)
    # Only what moves money needs the lots; holding and releasing don't.
    burning: list[uuid.UUID] = []
    for op, account_id in zip(operations, account_ids, strict=True):
        kind = type(op)
        of[kind].append(op)
        if kind in _BURNS and account_id is not None:
            burning.append(account_id)
    payees = [op.to for op in of[Move] if isinstance(op.to, uuid.UUID)]
    burning += payees
    ids = [account_id for account_id in account_ids if account_id is not None] + payees
    # A capture is known by its hold, other movements by their source.
    sources = [op.source for kind in _SOURCED for op in of[kind]]
    hold_ids = [op.hold_id for kind in _OF_HOLDS for op in of[kind]]
    placed = of[PlaceHold]
    # By integers: see `State`.
    guarded = {op.guard.paywall_id.int: op.guard.paywall_id for op in placed if op.guard}
    through = {key for key in connections if key}
    spends = {op.model_spend for kind in _SETTLES for op in of[kind] if op.model_spend}
    if any(op.on_model for op in placed):
        spends |= _model_spends_of(operations, account_ids, connections)
    claimed = [op.claim.key for op in placed if op.claim]
    corrected = {op.of for op in of[Refund] + of[Reverse]}
    plan = {
        "accounts": statements.lock_accounts(ids),
        "lots": statements.live_lots(burning) if burning else None,
        "named_lots": statements.lots_named_by(corrected) if corrected else None,
        "holds": statements.holds(hold_ids) if hold_ids else None,
        "transfers": statements.transfers_of(sources) if sources else None,
        "originals": statements.originals(corrected) if corrected else None,
        "connections": statements.connections(through) if through else None,
        "model_spends": statements.model_spends(spends) if spends else None,
        "splits": statements.splits_of(corrected) if corrected else None,
        "claims": statements.claims(claimed) if claimed else None,
        "configs": users.existing_paywalls(list(guarded.values())) if guarded else None,
    }
    wanted = {name: statement for name, statement in plan.items() if statement}
    answers = yield list(wanted.values())
    rows = dict.fromkeys(plan, ()) | dict(zip(wanted, answers, strict=True))
    configs = rows.pop("configs")
    state = State(burning, **rows)
    if expired := state.unread_expired():
        [lots] = yield [statements.live_lots(expired)]
        state.read_lots(expired, lots)
    connections_left, spends_left = state.unread_connections(), state.unread_model_spends()
    if connections_left or spends_left:
        rows_of_connections, rows_of_spends = yield [
            statements.connections(connections_left),
            statements.model_spends(spends_left),
        ]
        state.read_connections(rows_of_connections)
        state.read_model_spends(rows_of_spends)
    return state, Batch(state, configs)


def _model_spends_of(
    operations: Sequence[Operation],
    account_ids: Sequence[uuid.UUID | None],
    connections: Sequence[uuid.UUID | None],
) -> set[uuid.UUID]:
    """The windows of models that the holds will count in."""
    return {
        key_of(payer, op.on_model.model_id)
        for op, account_id, key in zip(operations, account_ids, connections, strict=True)
        if isinstance(op, PlaceHold) and op.on_model and (payer := key or account_id)
    }


def cursor_of_batches() -> CursorWrapper:
    """A cursor of Django's connection that leaves it to the server to put values into statements.

    Django's own writes them into the text: at a thousand rows that is most of a megabyte to quote, and to parse again.
    Rows come in binary, which the driver reads in C, where it would call Python for each time.
    """
    connection.ensure_connection()
    cursor: Any = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]  # psycopg's own
    cursor.format = Format.BINARY
    return (
        connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)
    )


def _drive(work: Work) -> Any:
    """Run the steps on Django's connection."""
    with cursor_of_batches() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
        answers: list[Rows] | None = None
        while True:
            try:
                round_trip = next(work) if answers is None else work.send(answers)
            except StopIteration as stop:
                return stop.value
            answers = []
            for statement in round_trip:
                cursor.execute(statement.text, statement.params)
                answers.append(cursor.fetchall() if statement.returns else [])
