"""A batch under way: the locked state, the operations applied to it in order, and the rows that come of it."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from config import ids
from config.sql import Statement
from ledger import book, statements
from ledger.errors import ConfigChanged, HoldNotOpen, SourceReused
from ledger.models import Account, Transfer
from ledger.operations import (
    Capture,
    Credit,
    Debit,
    Held,
    Opened,
    OpenWallet,
    Operation,
    Outcome,
    PlaceHold,
    Receipt,
    Release,
    Resolved,
    Sweep,
)
from ledger.wallets import house_account_id

Row = tuple[Any, ...]


@dataclass(slots=True)
class _Wallet:
    """A locked account: as it was read, and as the batch has made it so far."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    read: book.Account
    now: book.Account
    next_expiry: datetime | None
    lots_read: bool = False

    @property
    def expiry_to_write(self) -> datetime | None:
        return self.now.next_expiry if self.lots_read else self.next_expiry


@dataclass(slots=True)
class _Hold:
    """A hold of the batch; `expires_at` is set for those that the batch places."""

    account_id: uuid.UUID
    now: book.Hold
    overdue: bool = False
    expires_at: datetime | None = None
    changed: bool = False


class Batch:
    """Applies operations to what was read; `writes()` are the statements that make the result last."""

    def __init__(
        self,
        accounts: Iterable[Row],
        lots: Iterable[Row],
        holds: Iterable[Row],
        transfers: Iterable[Row],
        configs: Iterable[Row],
    ) -> None:
        self._wallets: dict[uuid.UUID, _Wallet] = {}
        self._lots: dict[uuid.UUID, tuple[uuid.UUID, book.Lot]] = {}
        for account_id, tenant_id, posted, held, version, next_expiry, clock in accounts:
            state = book.Account(posted, held, version)
            self._wallets[account_id] = _Wallet(account_id, tenant_id, state, state, next_expiry)
            # One clock for all processes: the database's, read after the locks were granted.
            self._clock: datetime = clock
        self.read_lots(lots)
        self._holds = {
            hold_id: _Hold(account_id, book.Hold(hold_id, amount, state, captured), overdue)
            for hold_id, account_id, amount, state, captured, overdue in holds
        }
        self._known: dict[str, tuple[str, int, Receipt]] = {}
        for source, transfer_id, wallet_id, kind, signed, before, after, metadata in transfers:
            receipt = Receipt(
                transfer_id, wallet_id, abs(signed), before, after, orjson.loads(metadata), replayed=True
            )
            self._known[source] = (kind, signed, receipt)
        self._configs: dict[uuid.UUID, int] = dict(configs)
        self._transfers: list[Row] = []

    def unread_expired(self) -> list[uuid.UUID]:
        """The wallets of which a lot has expired whose lots were not read: they need them after all."""
        return [
            wallet.id
            for wallet in self._wallets.values()
            if wallet.next_expiry and wallet.next_expiry <= self._clock and not wallet.lots_read
        ]

    def read_lots(self, rows: Iterable[Row]) -> None:
        """Take in the live lots of wallets, before anything is applied."""
        per_wallet: dict[uuid.UUID, list[book.Lot]] = {}
        for account_id, lot_id, kind, amount, remaining, created_at, expires_at in rows:
            lot = book.Lot(lot_id, kind, amount, remaining, created_at, expires_at)
            per_wallet.setdefault(account_id, []).append(lot)
            self._lots[lot_id] = (account_id, lot)
        for account_id, lots in per_wallet.items():
            wallet = self._wallets[account_id]
            wallet.read = wallet.now = book.Account(
                wallet.read.posted,
                wallet.read.held,
                wallet.read.version,
                tuple(sorted(lots, key=lambda lot: lot.burn_key)),
            )
            wallet.lots_read = True

    # --- Operations ------------------------------------------------------------------------------------------

    def apply(self, op: Operation, account_id: uuid.UUID) -> Outcome:
        """Carry out one operation on the state so far. Raises a Refusal and then has changed nothing."""
        wallet = self._wallets[account_id]
        match op:
            case OpenWallet():
                return Opened(wallet.id)
            case PlaceHold():
                return self._place_hold(wallet, op)
            case Capture():
                return self._capture(wallet, op)
            case Release():
                return self._release(wallet, op)
            case Sweep():
                return self._sweep(wallet, op)
            case Credit():
                return self._credit(wallet, op)
            case Debit():
                return self._debit(wallet, op)

    def _place_hold(self, wallet: _Wallet, op: PlaceHold) -> Outcome:
        if op.guard and self._configs.get(op.guard.paywall_id) != op.guard.config_version:
            raise ConfigChanged("the paywall's configuration has changed")
        if known := self._holds.get(op.hold_id):
            if known.now.state != book.OPEN or known.account_id != wallet.id:
                raise HoldNotOpen(op.hold_id, known.now.state)
            return Held(wallet.id, replayed=True)
        change = book.place_hold(wallet.now, book.Hold(op.hold_id, op.amount), self._clock)
        self._keep(wallet, change)
        expires_at = self._clock + timedelta(seconds=op.seconds)
        assert change.hold
        self._holds[op.hold_id] = _Hold(wallet.id, change.hold, expires_at=expires_at)
        return Held(wallet.id)

    def _capture(self, wallet: _Wallet, op: Capture) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if hold.now.state == book.CAPTURED:
            return Resolved(hold.now.captured, wallet.now.posted, replayed=True)
        change = book.capture(wallet.now, hold.now, op.amount, self._clock)
        transfer_id = self._keep(
            wallet,
            change,
            source=op.source,
            kind=Transfer.Kind.USAGE,
            counter=Account.Kind.REVENUE,
            request_id=op.hold_id,
            metadata=op.metadata,
        )
        self._resolve(hold, change)
        return Resolved(op.amount, wallet.now.posted, transfer_id if op.amount else None)

    def _release(self, wallet: _Wallet, op: Release) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if hold.now.state in (book.RELEASED, book.EXPIRED):
            return Resolved(0, wallet.now.posted, replayed=True)
        change = book.release(wallet.now, hold.now)
        self._keep(wallet, change)
        self._resolve(hold, change)
        return Resolved(0, wallet.now.posted)

    def _sweep(self, wallet: _Wallet, op: Sweep) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if not hold.overdue:
            raise HoldNotOpen(op.hold_id, "not overdue")
        change = book.release(wallet.now, hold.now, as_state=book.EXPIRED)
        self._keep(wallet, change)
        self._resolve(hold, change)
        return Resolved(0, wallet.now.posted)

    def _credit(self, wallet: _Wallet, op: Credit) -> Outcome:
        if known := self._replay(wallet, op, op.amount):
            return known
        lot = book.Lot(ids.new(), op.lot_kind, op.amount, op.amount, self._clock, op.expires_at)
        change = book.credit(wallet.now, lot, self._clock)
        self._lots[lot.id] = (wallet.id, lot)
        wallet.lots_read = True
        return self._receipt(wallet, op, change)

    def _debit(self, wallet: _Wallet, op: Debit) -> Outcome:
        if known := self._replay(wallet, op, -op.amount):
            return known
        return self._receipt(wallet, op, book.debit(wallet.now, op.amount, self._clock))

    # --- What they share -------------------------------------------------------------------------------------

    def _hold_of(self, wallet: _Wallet, hold_id: uuid.UUID) -> _Hold:
        hold = self._holds.get(hold_id)
        if hold is None or hold.account_id != wallet.id:
            raise HoldNotOpen(hold_id, None)
        return hold

    def _resolve(self, hold: _Hold, change: book.Change) -> None:
        assert change.hold
        hold.now, hold.changed = change.hold, True

    def _replay(self, wallet: _Wallet, op: Credit | Debit, signed: int) -> Receipt | None:
        """The first outcome of a known source. Raises SourceReused where it had another effect."""
        if op.source not in self._known:
            return None
        kind, known_signed, receipt = self._known[op.source]
        if (kind, known_signed, receipt.account_id) != (op.kind, signed, wallet.id):
            raise SourceReused(f"{op.source} has moved money before, with another effect")
        return receipt

    def _receipt(self, wallet: _Wallet, op: Credit | Debit, change: book.Change) -> Receipt:
        before = change.movements[-1].balance_before
        transfer_id = self._keep(
            wallet, change, source=op.source, kind=op.kind, counter=op.counter, metadata=op.metadata
        )
        assert transfer_id
        after = change.account.posted
        first = Receipt(transfer_id, wallet.id, op.amount, before, after, op.metadata)
        again = Receipt(transfer_id, wallet.id, op.amount, before, after, op.metadata, replayed=True)
        self._known[op.source] = (op.kind, after - before, again)
        return first

    def _keep(
        self,
        wallet: _Wallet,
        change: book.Change,
        *,
        source: str = "",
        kind: str = "",
        counter: str = "",
        request_id: uuid.UUID | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> uuid.UUID | None:
        """Make the change the wallet's state and its movements transfers; the key of the last one."""
        transfer_id = None
        for movement in change.movements:
            transfer_id = ids.new()
            cause: tuple[str, str, str, uuid.UUID | None, dict[str, Any]]
            if movement.expired:
                # An expired lot may go in parts (open holds keep some of it): the version tells them apart.
                cause = (
                    f"expiry:{movement.expired.hex}:{movement.version}",
                    Transfer.Kind.EXPIRY,
                    Account.Kind.BREAKAGE,
                    None,
                    {},
                )
            else:
                cause = (source, kind, counter, request_id, metadata or {})
            self._transfers.append(_transfer_row(transfer_id, wallet, movement, *cause))
        wallet.now = change.account
        return transfer_id

    # --- Rows ------------------------------------------------------------------------------------------------

    def writes(self) -> list[Statement]:
        """One statement for each table that changes; none where nothing does."""
        accounts = [
            (w.id, w.now.posted, w.now.held, w.now.version, w.expiry_to_write)
            for w in self._wallets.values()
            if w.now != w.read
        ]
        placed = [
            (h.now.id, h.account_id, h.now.amount, h.now.state, h.now.captured, h.expires_at)
            for h in self._holds.values()
            if h.expires_at
        ]
        resolved = [
            (h.now.id, h.now.state, h.now.captured)
            for h in self._holds.values()
            if h.changed and not h.expires_at
        ]
        lots = list(self._changed_lots())
        return [
            write(rows)
            for write, rows in (
                (statements.update_accounts, accounts),
                (statements.insert_holds, placed),
                (statements.update_holds, resolved),
                (statements.write_lots, lots),
                (statements.insert_transfers, self._transfers),
            )
            if rows
        ]

    def _changed_lots(self) -> Iterable[Row]:
        left = {lot.id: lot.remaining for wallet in self._wallets.values() for lot in wallet.now.lots}
        before = {lot.id: lot.remaining for wallet in self._wallets.values() for lot in wallet.read.lots}
        for lot_id, (account_id, lot) in self._lots.items():
            remaining = left.get(lot_id, 0)
            if before.get(lot_id) != remaining:
                yield (lot_id, account_id, lot.kind, lot.amount, remaining, lot.created_at, lot.expires_at)


def _transfer_row(
    transfer_id: uuid.UUID,
    wallet: _Wallet,
    movement: book.Movement,
    source: str,
    kind: str,
    counter: str,
    request_id: uuid.UUID | None,
    metadata: dict[str, Any],
) -> Row:
    house = house_account_id(wallet.tenant_id, counter)
    debit, credit = (house, wallet.id) if movement.amount > 0 else (wallet.id, house)
    lots = [[str(lot_id), part] for lot_id, part in movement.lots]
    return (
        transfer_id,
        wallet.tenant_id,
        kind,
        source,
        debit,
        credit,
        abs(movement.amount),
        wallet.id,
        movement.balance_before,
        movement.balance_after,
        movement.version,
        request_id,
        orjson.dumps(lots).decode(),
        orjson.dumps(metadata).decode(),
    )
