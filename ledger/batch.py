"""A batch under way: operations applied in order to the locked state, each through the pure rules."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.conf import settings

from config import ids
from ledger import book, burning, corrections, splits
from ledger.errors import (
    AnotherTenant,
    Blocked,
    ConfigChanged,
    HoldNotOpen,
    KeyTaken,
    ModelLimitReached,
    NotConnected,
    NotCorrectable,
    SourceReused,
    SpendLimitReached,
)
from ledger.lots import Lot
from ledger.models import Account, Hold, Transfer
from ledger.models.modelspend import key_of
from ledger.operations import (
    Burns,
    Capture,
    Claim,
    Configure,
    Credit,
    Debit,
    Earn,
    Expire,
    Held,
    Move,
    Opened,
    OpenWallet,
    Operation,
    Outcome,
    PlaceHold,
    Receipt,
    Refund,
    Release,
    Resolved,
    Reverse,
    Sourced,
    Sweep,
)
from ledger.splits import COST, Parts
from ledger.state import (
    ClaimState,
    HoldState,
    Known,
    ModelSpendState,
    OriginalState,
    Row,
    State,
    WalletState,
)
from ledger.wallets import house_account_id
from ledger.windows import UNUSED, Limits, Windows

REVENUE = Account.Kind.REVENUE.value
# What can be refunded, and what can be reversed.
CHARGES = {Transfer.Kind.CHARGE.value, Transfer.Kind.USAGE.value, Transfer.Kind.BURN.value}
CREDITS = {Transfer.Kind.DEPOSIT.value, Transfer.Kind.GRANT.value, Transfer.Kind.TRIAL.value}


class _Cause(NamedTuple):
    """Why a movement is a transfer, and where its money goes or comes from (a house account)."""

    source: str
    kind: str
    counter: uuid.UUID
    request_id: uuid.UUID | None = None
    reverses: uuid.UUID | None = None
    metadata: Mapping[str, Any] = {}


class Batch:
    """Applies operations to what was read; the state then knows what to write."""

    def __init__(self, state: State, configs: Iterable[Row]) -> None:
        self._state = state
        self._configs: dict[int, int] = {paywall_id.int: version for paywall_id, version in configs}

    def apply(self, op: Operation, account_id: uuid.UUID, connection: uuid.UUID | None = None) -> Outcome:
        """Carry out one operation on the state so far. Raises a Refusal and then has changed nothing.

        `connection` is through which a shared wallet pays, where the operation spends.
        """
        wallet = self._state.wallets[account_id.int]
        match op:
            case PlaceHold():
                return self._place_hold(wallet, op, connection)
            case Capture():
                return self._capture(wallet, op)
            case Release():
                return self._release(wallet, op)
            case OpenWallet():
                return Opened(wallet.id)
            case Configure():
                return self._configure(wallet, op)
            case Expire():
                return self._expire(wallet)
            case Sweep():
                return self._sweep(wallet, op)
            case Burns():
                return burning.burn(self._state, wallet, op, self._keep)
            case _:
                return self._replayed(wallet, op) or self._moved(wallet, op, connection)

    def _configure(self, wallet: WalletState, op: Configure) -> Outcome:
        wallet.limits, wallet.low_balance, wallet.configured = op.limits, op.low_balance, True
        self._state.watch(wallet)
        return Opened(wallet.id)

    def _expire(self, wallet: WalletState) -> Outcome:
        before = wallet.now.posted
        self._keep(wallet, book.expire(wallet.now, self._state.clock))
        return Resolved(before - wallet.now.posted, wallet.now.posted)

    # --- Holds -----------------------------------------------------------------------------------------------

    def _place_hold(self, wallet: WalletState, op: PlaceHold, key: uuid.UUID | None) -> Outcome:
        if op.guard and self._configs.get(op.guard.paywall_id.int) != op.guard.config_version:
            raise ConfigChanged("the paywall's configuration has changed")
        if known := self._state.holds.get(op.hold_id.int):
            if known.now.state != book.OPEN or known.account_id != wallet.id:
                raise HoldNotOpen(op.hold_id, known.now.state)
            return Held(wallet.id, True, known.connection, known.model_spend)
        _check_may_spend(wallet)
        if op.claim:
            self._check_claim(op.claim)
        limits, spent = self._spending(wallet, op.amount, op.limits, key)
        on_model = self._spending_on_model(wallet, op, key)
        change = book.place_hold(wallet.now, book.Hold(op.hold_id, op.amount), self._state.clock, limits)
        self._keep(wallet, change)
        self._spent(key, spent)
        if on_model:
            self._state.model_spends[on_model.id] = on_model
        expires_at = self._state.clock + timedelta(seconds=op.seconds)
        assert change.hold
        model_spend = on_model.id if on_model else None
        self._state.holds[op.hold_id.int] = HoldState(
            wallet.id,
            change.hold,
            op.kind,
            expires_at=expires_at,
            about=op.about,
            connection=key,
            model_spend=model_spend,
        )
        if op.claim:
            self._claim(op.claim, op.hold_id)
        return Held(wallet.id, connection=key, model_spend=model_spend)

    def _check_claim(self, claim: Claim) -> None:
        """Raises KeyTaken where an earlier request with the key holds, or has charged."""
        known = self._state.claims.get(claim.key)
        if known is None:
            return
        if hold := self._state.holds.get(known.request_id.int):
            # This batch may have resolved it.
            known = replace(known, state=hold.now.state)
        if not known.is_free:
            assert known.state
            raise KeyTaken(known.request_id, known.state, same=known.fingerprint == claim.fingerprint)

    def _claim(self, claim: Claim, request_id: uuid.UUID) -> None:
        self._state.claims[claim.key] = ClaimState(claim.fingerprint, request_id, book.OPEN)
        self._state.new_claims.append((request_id, self._state.clock, *claim.key, claim.fingerprint))

    def _capture(self, wallet: WalletState, op: Capture) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if hold.now.state == book.CAPTURED:
            return Resolved(hold.now.captured, wallet.now.posted, replayed=True)
        was_lost = hold.now.state == book.EXPIRED
        freed = hold.now.amount if hold.now.state == book.OPEN else 0
        change = book.capture(wallet.now, hold.now, op.amount, self._state.clock)
        counter = house_account_id(wallet.tenant_id, REVENUE)
        cause = _Cause(op.source, op.kind, counter, op.hold_id, metadata=op.metadata)
        transfer_id = self._keep(wallet, change, cause)
        self._count(hold, op.amount - freed)
        self._resolve(hold, change)
        if hold.connection and transfer_id:
            cost = op.metadata.get(COST) if op.kind == Transfer.Kind.USAGE else 0
            self._share_out(transfer_id, op.amount, cost or 0, hold.connection)
        if was_lost:
            self._state.found.append(op.hold_id)
        if op.request:
            self._state.requests[op.hold_id.int] = op.request
        elif was_lost:
            self._state.charged_late.append((op.hold_id, op.amount))
        if op.answer:
            self._state.answers.append((op.hold_id, op.answer))
        return Resolved(op.amount, wallet.now.posted, transfer_id)

    def _release(self, wallet: WalletState, op: Release) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if hold.now.state in (book.RELEASED, book.EXPIRED):
            return Resolved(0, wallet.now.posted, replayed=True)
        change = book.release(wallet.now, hold.now)
        self._count(hold, -hold.now.amount)
        self._resolve(hold, change, wallet)
        if op.request:
            self._state.requests[op.hold_id.int] = op.request
        return Resolved(0, wallet.now.posted)

    def _sweep(self, wallet: WalletState, op: Sweep) -> Outcome:
        hold = self._hold_of(wallet, op.hold_id)
        if not hold.overdue:
            raise HoldNotOpen(op.hold_id, "not overdue")
        change = book.release(wallet.now, hold.now, as_state=book.EXPIRED)
        self._count(hold, -hold.now.amount)
        self._resolve(hold, change, wallet)
        if hold.kind == Hold.Kind.REQUEST:
            self._state.lost.append(op.hold_id)
        return Resolved(0, wallet.now.posted)

    def _hold_of(self, wallet: WalletState, hold_id: uuid.UUID) -> HoldState:
        hold = self._state.holds.get(hold_id.int)
        if hold is None or hold.account_id != wallet.id:
            raise HoldNotOpen(hold_id, None)
        return hold

    def _resolve(self, hold: HoldState, change: book.Change, wallet: WalletState | None = None) -> None:
        assert change.hold
        hold.now, hold.changed = change.hold, True
        if wallet:
            self._keep(wallet, change)

    # --- Shared wallets --------------------------------------------------------------------------------------

    def _spending(
        self, wallet: WalletState, amount: int, limits: Limits, key: uuid.UUID | None
    ) -> tuple[Limits, Windows | None]:
        """The wallet's limits, and the connection's windows with `amount` in them.

        A paywall's own limits (`limits`) are for what is spent there: of a shared wallet only the connection counts
        that. Raises NotConnected, and SpendLimitReached for the connection's.
        """
        if key is None:
            return wallet.limits.or_else(limits), None
        connection = self._state.connections.get(key)
        if connection is None or connection.has_ended or connection.account_id != wallet.id:
            raise NotConnected("the user is not connected to this wallet")
        if connection.is_blocked:
            raise Blocked
        spent = connection.now.spend(amount, connection.limits.within(limits), self._state.clock)
        return wallet.limits, spent

    def _spent(self, key: uuid.UUID | None, windows: Windows | None) -> None:
        if key and windows:
            self._state.connections[key].now = windows

    def _spending_on_model(
        self, wallet: WalletState, op: PlaceHold, key: uuid.UUID | None
    ) -> ModelSpendState | None:
        """The payer's windows on the model with the hold in them, where the model has limits.

        Raises ModelLimitReached.
        """
        if op.on_model is None:
            return None
        model_id, limits = op.on_model.model_id, op.on_model.limits
        spend_id = key_of(key or wallet.id, model_id)
        known = self._state.model_spends.get(spend_id)
        known = known or ModelSpendState(spend_id, wallet.id, model_id, None, UNUSED)
        try:
            return replace(known, now=known.now.spend(op.amount, limits, self._state.clock))
        except SpendLimitReached as reached:
            raise ModelLimitReached.of(reached) from None

    def _count(self, hold: HoldState, change: int) -> None:
        """Correct what the hold's connection and model count of it; before the hold itself is resolved."""
        if hold.connection:
            connection = self._state.connections[hold.connection]
            connection.now = connection.now.correct(change, hold.now.counted_on)
        # The row is gone where its month is over for long.
        if hold.model_spend and (spend := self._state.model_spends.get(hold.model_spend)):
            spend.now = spend.now.correct(change, hold.now.counted_on)

    def _share_out(self, transfer_id: uuid.UUID, amount: int, cost: int, key: uuid.UUID) -> None:
        parts = splits.shared_out(amount, cost, settings.PLATFORM_FEE_PERCENT)
        self._split(transfer_id, parts, key, self._state.connections[key].tenant_id)

    def _split(self, transfer_id: uuid.UUID, parts: Parts, key: uuid.UUID, earner: uuid.UUID) -> None:
        row = (parts.amount, parts.provider_cost, parts.platform_fee, parts.earned)
        self._state.splits.append((transfer_id, self._state.clock, earner, key, *row))

    # --- Movements by source ---------------------------------------------------------------------------------

    def _replayed(self, wallet: WalletState, op: Sourced) -> Receipt | None:
        """The first outcome of a known source. Raises SourceReused where it had another effect."""
        known = self._state.known.get(op.source)
        if known is None:
            return None
        reverses = op.of if isinstance(op, Refund | Reverse) else None
        if (known.kind, known.receipt.account_id, known.reverses) != (op.kind, wallet.id, reverses):
            raise SourceReused(f"{op.source} has moved money before, with another effect")
        if op.amount is not None and known.signed != (op.amount if _is_credit(op) else -op.amount):
            raise SourceReused(f"{op.source} has moved another amount before")
        return known.receipt

    def _moved(self, wallet: WalletState, op: Sourced, key: uuid.UUID | None) -> Receipt:
        clock = self._state.clock
        match op:
            case Credit():
                lot = Lot(ids.new(), op.lot_kind, op.amount, op.amount, clock, op.expires_at, op.priority)
                return self._plain(wallet, op, book.credit(wallet.now, lot, clock))
            case Earn():
                return self._plain(wallet, op, book.earn(wallet.now, op.amount))
            case Debit(kind=Transfer.Kind.CHARGE):
                _check_may_spend(wallet)
                limits, spent = self._spending(wallet, op.amount, op.limits, key)
                receipt = self._plain(wallet, op, book.charge(wallet.now, op.amount, clock, limits))
                self._spent(key, spent)
                if key:
                    self._share_out(receipt.transfer_id, op.amount, 0, key)
                return receipt
            case Debit(overdraw=True):
                return self._plain(wallet, op, book.owe(wallet.now, op.amount, clock))
            case Debit():
                return self._plain(wallet, op, book.debit(wallet.now, op.amount, clock))
            case Refund():
                original = self._original_of(wallet, op, CHARGES)
                amount = original.now.left if op.amount is None else op.amount
                change = corrections.refund(wallet.now, original.now, amount, clock, ids.new())
                return self._corrected(wallet, op, original, amount, original.credit, change)
            case Reverse():
                original = self._original_of(wallet, op, CREDITS)
                amount = original.now.left if op.amount is None else op.amount
                change = corrections.reverse(wallet.now, original.now, amount, clock)
                return self._corrected(wallet, op, original, amount, original.debit, change)
            case Move():
                return self._move(wallet, op)

    def _plain(self, wallet: WalletState, op: Credit | Debit | Earn, change: book.Change) -> Receipt:
        counter = house_account_id(wallet.tenant_id, op.counter)
        return self._receipt(
            wallet, change, _Cause(op.source, op.kind, counter, op.request_id, None, op.metadata)
        )

    def _original_of(self, wallet: WalletState, op: Refund | Reverse, kinds: set[str]) -> OriginalState:
        original = self._state.originals.get(op.of)
        if original is None or original.wallet_id != wallet.id or original.kind not in kinds:
            raise NotCorrectable(f"{op.of} is no transfer of this wallet that a {op.kind} could be of")
        if original.now.left == 0:
            original.now.check(op.amount or 1)
        return original

    def _corrected(
        self,
        wallet: WalletState,
        op: Refund | Reverse,
        original: OriginalState,
        amount: int,
        counter: uuid.UUID,
        change: book.Change,
    ) -> Receipt:
        before = original.now.corrected
        original.correct(amount)
        cause = _Cause(op.source, op.kind, counter, None, op.of, op.metadata)
        receipt = self._receipt(wallet, change, cause)
        if original.parts and original.connection and original.earner:
            parts = splits.given_back(original.parts, before, amount)
            self._split(receipt.transfer_id, parts, original.connection, original.earner)
        return receipt

    def _move(self, wallet: WalletState, op: Move) -> Receipt:
        assert isinstance(op.to, uuid.UUID)  # posting has found it
        payee = self._state.wallets[op.to.int]
        if payee.tenant_id != wallet.tenant_id:
            raise AnotherTenant("credit can't leave its tenant")
        paid, received = book.transfer(wallet.now, payee.now, op.amount, self._state.clock, ids.new)
        transit = house_account_id(wallet.tenant_id, Account.Kind.TRANSIT)
        arrival = _Cause(f"{op.source}:in", op.kind, transit, metadata=op.metadata)
        receipt = self._receipt(wallet, paid, _Cause(op.source, op.kind, transit, metadata=op.metadata))
        self._keep(payee, received, arrival)
        return receipt

    def _receipt(self, wallet: WalletState, change: book.Change, cause: _Cause) -> Receipt:
        transfer_id = self._keep(wallet, change, cause)
        asked = change.asked
        assert asked
        assert transfer_id
        facts = (transfer_id, wallet.id, abs(asked.amount), asked.balance_before, asked.balance_after)
        again = Receipt(*facts, cause.metadata, replayed=True)
        self._state.known[cause.source] = Known(cause.kind, asked.amount, cause.reverses, again)
        return Receipt(*facts, cause.metadata)

    # --- Transfers -------------------------------------------------------------------------------------------

    def _keep(
        self, wallet: WalletState, change: book.Change, cause: _Cause | None = None
    ) -> uuid.UUID | None:
        """Make the change the wallet's state and its movements transfers; the key of the one that was asked for."""
        asked = None
        for movement in change.movements:
            transfer_id = ids.new()
            if movement.expired:
                # An expired lot may go in parts (open holds keep some of it): the version tells them apart.
                source = f"expiry:{movement.expired.hex}:{movement.version}"
                breakage = house_account_id(wallet.tenant_id, Account.Kind.BREAKAGE)
                why = _Cause(source, Transfer.Kind.EXPIRY, breakage)
            else:
                assert cause
                asked, why = transfer_id, cause
            self._state.transfers.append(self._transfer_row(transfer_id, wallet, movement, why))
        self._state.become(wallet, change)
        return asked

    def _transfer_row(
        self, transfer_id: uuid.UUID, wallet: WalletState, movement: book.Movement, cause: _Cause
    ) -> Row:
        into = movement.amount > 0
        return (
            transfer_id,
            self._state.clock,
            wallet.tenant_id,
            cause.kind,
            cause.source,
            cause.counter if into else wallet.id,
            wallet.id if into else cause.counter,
            abs(movement.amount),
            wallet.id,
            movement.balance_before,
            movement.balance_after,
            movement.version,
            cause.request_id,
            cause.reverses,
            movement.lots,
            cause.metadata,
        )


def _is_credit(op: Sourced) -> bool:
    return isinstance(op, Credit | Earn | Refund)


def _check_may_spend(wallet: WalletState) -> None:
    if wallet.blocked:
        raise Blocked
