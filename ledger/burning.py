"""Reported usage of a wallet, a thousand events at a time: their transfers, without an object for each step."""

from collections.abc import Callable

from ledger import book
from ledger.errors import Refusal
from ledger.models import Account, Transfer
from ledger.operations import Burned, BurnedAll, Burns
from ledger.state import State, WalletState
from ledger.wallets import house_account_id

KIND = Transfer.Kind.BURN.value


def source_of(row: str) -> str:
    """The source of an event's debit, by the hex of the event's key."""
    return f"event:{row}"


def burn(
    state: State, wallet: WalletState, op: Burns, keep: Callable[[WalletState, book.Change], object]
) -> BurnedAll:
    """Carry out the burns on the state so far; `keep` makes a change and its movements last."""
    clock, tenant_id, wallet_id = state.clock, wallet.tenant_id, wallet.id
    change, each = book.burn_each(wallet.now, (burn.amount for burn in op.burns), clock, overdraw=op.overdraw)
    revenue = house_account_id(tenant_id, Account.Kind.REVENUE)
    done: list[Burned | Refusal] = []
    rows = []
    for burned, movement in zip(op.burns, each, strict=True):
        if isinstance(movement, Refusal):
            done.append(movement)
            continue
        rows.append(
            (
                burned.transfer,
                clock,
                tenant_id,
                KIND,
                source_of(burned.row),
                wallet_id,
                revenue,
                burned.amount,
                wallet_id,
                movement.balance_before,
                movement.balance_after,
                movement.version,
                None,
                None,
                movement.lots,
                burned.metadata,
            )
        )
        if wallet.low_balance is not None:
            state.pass_by(wallet, movement.balance_after)
        done.append(Burned(movement.balance_before))
    keep(wallet, change)
    state.transfers += rows
    return BurnedAll(done)
