"""What a batch has read and what it has made of it: wallets, lots, holds, known sources; and the rows that result."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from config import ids
from config.sql import Statement
from ledger import book, requests, statements
from ledger.corrections import Original
from ledger.lots import Lot, in_order
from ledger.models.reconciliation import TIME_TO_RECONCILE
from ledger.operations import LowBalance, Receipt
from ledger.requests import RequestFacts
from ledger.splits import Parts
from ledger.windows import NO_LIMITS, Limits, Windows

Row = tuple[Any, ...]


@dataclass(slots=True)
class WalletState:
    """A locked account: as it was read, and as the batch has made it so far."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    read: book.Account
    now: book.Account
    next_expiry: datetime | None
    limits: Limits
    low_balance: int | None
    was_low: bool
    is_low: bool
    # Whether its owner is blocked.
    blocked: bool
    lots_read: bool = False
    configured: bool = False

    @property
    def expiry_to_write(self) -> datetime | None:
        return self.now.next_expiry if self.lots_read else self.next_expiry


@dataclass(slots=True)
class ConnectionState:
    """Through what a shared wallet pays: the paywall's tenant, who earns, and the connection's own spend windows."""

    id: uuid.UUID
    account_id: uuid.UUID
    tenant_id: uuid.UUID
    limits: Limits
    read: Windows
    now: Windows
    has_ended: bool
    is_blocked: bool


@dataclass(slots=True)
class ModelSpendState:
    """What a payer has spent on a model; `read` is None where the batch makes the row."""

    id: uuid.UUID
    account_id: uuid.UUID
    model_id: uuid.UUID
    read: Windows | None
    now: Windows


@dataclass(slots=True)
class HoldState:
    """A hold of the batch; `expires_at` is set for those that the batch places, `about` is then their JSON."""

    account_id: uuid.UUID
    now: book.Hold
    kind: str
    overdue: bool = False
    expires_at: datetime | None = None
    about: str = "{}"
    connection: uuid.UUID | None = None
    model_spend: uuid.UUID | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ClaimState:
    """An Idempotency-Key that was used: for what, by which request, and what became of that.

    `state` is its hold's, None where it never held; `written_off` a lost request that was closed without a charge.
    """

    fingerprint: str
    request_id: uuid.UUID
    state: str | None
    written_off: bool = False

    @property
    def is_free(self) -> bool:
        """Whether nothing was charged and nothing will be."""
        return self.state in (None, book.RELEASED) or self.written_off


@dataclass(frozen=True, slots=True)
class Known:
    """What a source has done before; `signed` is the change of the wallet's balance."""

    kind: str
    signed: int
    reverses: uuid.UUID | None
    receipt: Receipt


@dataclass(slots=True)
class OriginalState:
    """A transfer to be refunded or reversed, with its accounts."""

    wallet_id: uuid.UUID
    kind: str
    debit: uuid.UUID
    credit: uuid.UUID
    now: Original
    # In shared mode: its parts, the connection and tenant that they are of.
    parts: Parts | None = None
    connection: uuid.UUID | None = None
    earner: uuid.UUID | None = None

    def correct(self, amount: int) -> None:
        self.now = replace(self.now, corrected=self.now.corrected + amount)


class State:
    """The rows behind a batch. `writes()` are the statements that make its result last, one a table at the most.

    What every request looks up goes by the integer of its key: to hash a UUID, or to compare two, runs Python.
    """

    def __init__(
        self,
        burning: Iterable[uuid.UUID],
        accounts: Iterable[Row],
        lots: Iterable[Row],
        named_lots: Iterable[Row],
        holds: Iterable[Row],
        transfers: Iterable[Row],
        originals: Iterable[Row],
        connections: Iterable[Row] = (),
        model_spends: Iterable[Row] = (),
        splits: Iterable[Row] = (),
        claims: Iterable[Row] = (),
    ) -> None:
        self.wallets: dict[int, WalletState] = {}
        # Every lot that was read or made, with what remained of it in the database (None: it is new).
        self._lots: dict[int, tuple[uuid.UUID, Lot, int | None]] = {}
        for row in accounts:
            self._read_account(row)
        self.read_lots(burning, lots)
        for row in named_lots:
            self._lot(row)
        self.holds = {
            hold_id.int: HoldState(
                account_id,
                book.Hold(hold_id, amount, state, captured, counted_on),
                kind,
                overdue,
                connection=connection,
                model_spend=model_spend,
            )
            for (
                hold_id,
                account_id,
                connection,
                model_spend,
                amount,
                state,
                captured,
                counted_on,
                kind,
                overdue,
            ) in holds
        }
        self.known: dict[str, Known] = {}
        for source, transfer_id, wallet_id, kind, signed, reverses, before, after, metadata in transfers:
            receipt = Receipt(
                transfer_id, wallet_id, abs(signed), before, after, orjson.loads(metadata), True
            )
            self.known[source] = Known(kind, signed, reverses, receipt)
        self.originals = {row[0]: self._original(row) for row in originals}
        for transfer_id, connection, earner, *parts in splits:
            original = self.originals[transfer_id]
            original.parts, original.connection, original.earner = Parts(*parts), connection, earner
        self.connections: dict[uuid.UUID, ConnectionState] = {}
        self.read_connections(connections)
        self.model_spends: dict[uuid.UUID, ModelSpendState] = {}
        self.read_model_spends(model_spends)
        self.splits: list[Row] = []
        self.transfers: list[Row] = []
        self.crossings: list[LowBalance] = []
        self.lost: list[uuid.UUID] = []
        self.found: list[uuid.UUID] = []
        self.claims = {
            (paywall_id, external_id, digest): ClaimState(*rest)
            for paywall_id, external_id, digest, *rest in claims
        }
        self.new_claims: list[Row] = []
        self.answers: list[tuple[uuid.UUID, str]] = []
        # By key, so that a request is written once however often the batch has touched it.
        self.requests: dict[int, RequestFacts] = {}
        self.charged_late: list[tuple[uuid.UUID, int]] = []

    def _read_account(self, row: Row) -> None:
        (
            account_id,
            tenant_id,
            posted,
            held,
            version,
            next_expiry,
            day,
            month,
            *windows,
            low,
            is_low,
            blocked,
            clock,
        ) = row
        state = book.Account(posted, held, version, (), Windows(*windows))
        self.wallets[account_id.int] = WalletState(
            account_id,
            tenant_id,
            state,
            state,
            next_expiry,
            NO_LIMITS if day is None and month is None else Limits(day, month),
            low,
            is_low,
            is_low,
            blocked,
        )
        # One clock for all processes: the database's, read after the locks were granted.
        self.clock: datetime = clock

    def unread_expired(self) -> list[uuid.UUID]:
        """The wallets of which a lot has expired whose lots were not read: they need them after all."""
        return [
            wallet.id
            for wallet in self.wallets.values()
            if wallet.next_expiry and wallet.next_expiry <= self.clock and not wallet.lots_read
        ]

    def read_lots(self, account_ids: Iterable[uuid.UUID], rows: Iterable[Row]) -> None:
        """Take in all the live lots of these wallets, before anything is applied."""
        per_wallet: dict[int, list[Lot]] = {}
        for row in rows:
            per_wallet.setdefault(row[0].int, []).append(self._lot(row))
        for account_id in account_ids:
            wallet = self.wallets.get(account_id.int)
            if wallet and not wallet.lots_read:
                lots = in_order(per_wallet.get(account_id.int, ()))
                wallet.read = wallet.now = wallet.read.burning(lots)
                wallet.lots_read = True

    def read_connections(self, rows: Iterable[Row]) -> None:
        """Take in connections, before anything is applied."""
        for key, account_id, tenant_id, month, *windows, has_ended, is_blocked in rows:
            used = Windows(*windows)
            self.connections[key] = ConnectionState(
                key, account_id, tenant_id, Limits(month=month), used, used, has_ended, is_blocked
            )

    def read_model_spends(self, rows: Iterable[Row]) -> None:
        """Take in what was spent on models, before anything is applied."""
        for key, account_id, model_id, *windows in rows:
            used = Windows(*windows)
            self.model_spends[key] = ModelSpendState(key, account_id, model_id, used, used)

    @property
    def fees(self) -> dict[uuid.UUID, int]:
        """The platform's fees of the transfers that the batch has shared out."""
        return {transfer_id: fee for transfer_id, *_, fee, _ in self.splits}

    def unread_connections(self) -> set[uuid.UUID]:
        """Those of the holds that nobody named."""
        return {hold.connection for hold in self.holds.values() if hold.connection} - self.connections.keys()

    def unread_model_spends(self) -> set[uuid.UUID]:
        """The same of what was spent on their models."""
        return {
            hold.model_spend for hold in self.holds.values() if hold.model_spend
        } - self.model_spends.keys()

    def _lot(self, row: Row) -> Lot:
        account_id, *columns = row
        lot = Lot(*columns)
        self._lots[lot.id.int] = (account_id, lot, lot.remaining)
        return lot

    def _original(self, row: Row) -> OriginalState:
        _, wallet_id, kind, amount, debit, credit, lots, corrected = row
        parts = tuple(
            (self._lots[uuid.UUID(lot_id).int][1], abs(part)) for lot_id, part in orjson.loads(lots)
        )
        return OriginalState(wallet_id, kind, debit, credit, Original(amount, parts, corrected))

    # --- What the batch makes of it ------------------------------------------------------------------------

    def become(self, wallet: WalletState, change: book.Change) -> None:
        """Make the change the wallet's state, and tell where it brought the balance below its threshold."""
        for lot in change.new_lots:
            self._lots[lot.id.int] = (wallet.id, lot, None)
        wallet.now = change.account
        if wallet.low_balance is not None:
            self.watch(wallet)

    def watch(self, wallet: WalletState) -> None:
        """Notice a crossing of the threshold: down it happens, up only clears the way for the next one."""
        self.pass_by(wallet, wallet.now.posted)

    def pass_by(self, wallet: WalletState, posted: int) -> None:
        """Notice a crossing of the threshold by a balance that the wallet has for a moment."""
        is_low = wallet.low_balance is not None and posted < wallet.low_balance
        if is_low and not wallet.is_low:
            assert wallet.low_balance is not None
            self.crossings.append(LowBalance(wallet.id, posted, wallet.low_balance))
        wallet.is_low = is_low

    def writes(self) -> list[Statement]:
        """One statement for each table that changes; none where nothing does."""
        wallets, holds = self.wallets.values(), self.holds.values()
        plan: tuple[tuple[Callable[[list[Any]], Statement], list[Any]], ...] = (
            (statements.update_accounts, [_account_row(w) for w in wallets if _has_changed(w)]),
            (statements.configure_accounts, [_settings_row(w) for w in wallets if w.configured]),
            (statements.insert_holds, [self._hold_row(hold) for hold in holds if hold.expires_at]),
            (statements.update_holds, [_resolution(h) for h in holds if h.changed and not h.expires_at]),
            (statements.write_lots, list(self._changed_lots())),
            (statements.insert_transfers, self.transfers),
            (statements.insert_splits, self.splits),
            (
                statements.update_connections,
                [_connection_row(c) for c in self.connections.values() if c.now != c.read],
            ),
            (
                statements.write_model_spends,
                [_model_spend_row(s) for s in self.model_spends.values() if s.now != s.read],
            ),
            (statements.open_items, [self._item_row(hold_id) for hold_id in self.lost]),
            (statements.charge_items, self.found),
            (requests.lost, self.lost),
            (requests.settled, list(self.requests.values())),
            (requests.charged_late, self.charged_late),
            (statements.write_claims, self.new_claims),
            (statements.keep_answers, self.answers),
        )
        return [write(rows) for write, rows in plan if rows]

    def _hold_row(self, hold: HoldState) -> Row:
        now = hold.now
        return (
            now.id,
            self.clock,
            hold.account_id,
            now.amount,
            now.state,
            now.captured,
            now.counted_on,
            hold.kind,
            hold.expires_at,
            orjson.Fragment(hold.about),
            hold.connection,
            hold.model_spend,
        )

    def _item_row(self, hold_id: uuid.UUID) -> Row:
        return (ids.new(), hold_id, self.clock + TIME_TO_RECONCILE)

    def _changed_lots(self) -> Iterable[Row]:
        left = {lot.id.int: lot.remaining for wallet in self.wallets.values() for lot in wallet.now.lots}
        for lot_id, (account_id, lot, before) in self._lots.items():
            remaining = left.get(lot_id, 0)
            if before == remaining:
                continue
            # A lot may have been read only because a transfer names it, which was another wallet's.
            wallet = self.wallets.get(account_id.int)
            if wallet and wallet.lots_read:
                yield (
                    account_id,
                    lot.id,
                    lot.kind,
                    lot.amount,
                    remaining,
                    lot.created_at,
                    lot.expires_at,
                    lot.priority,
                )


def _has_changed(wallet: WalletState) -> bool:
    return wallet.now != wallet.read or wallet.is_low != wallet.was_low


def _account_row(wallet: WalletState) -> Row:
    now, windows = wallet.now, wallet.now.windows
    return (
        wallet.id,
        now.posted,
        now.held,
        now.version,
        wallet.expiry_to_write,
        windows.day,
        windows.day_used,
        windows.month_used,
        wallet.is_low,
    )


def _connection_row(connection: ConnectionState) -> Row:
    windows = connection.now
    return (connection.id, windows.day, windows.day_used, windows.month_used)


def _model_spend_row(spend: ModelSpendState) -> Row:
    windows = spend.now
    return (spend.id, spend.account_id, spend.model_id, windows.day, windows.day_used, windows.month_used)


def _settings_row(wallet: WalletState) -> Row:
    return (wallet.id, wallet.limits.day, wallet.limits.month, wallet.low_balance)


def _resolution(hold: HoldState) -> Row:
    return (hold.now.id, hold.now.state, hold.now.captured)
