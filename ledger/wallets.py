"""Wallets of end users: found, or made with their trial credit in the transaction that needs them."""

import uuid
from collections.abc import Collection

from config import ids
from config.sql import Work
from ledger import book, statements
from ledger.models import Account, Transfer
from ledger.operations import Credit
from paywalls import users
from paywalls.users import UserRef

HOUSE_KINDS = [kind.value for kind in Account.Kind if kind is not Account.Kind.WALLET]


def house_account_id(tenant_id: uuid.UUID, kind: str) -> uuid.UUID:
    """The key of a tenant's house account. Derived, so that posting never has to look it up."""
    return uuid.uuid5(tenant_id, kind)


def find_or_make(refs: Collection[UserRef]) -> Work:
    """The account of each end user, and the trial credits to post for those that had none.

    Returns ({ref: account id}, [trial credits]); a ref of an unknown paywall is in neither. Two transactions that meet
    a new user at once agree: the unique constraints let the second wait for the first, and the trial's source lets
    only one grant stand.
    """
    found = yield from _find(refs)
    missing = [ref for ref in refs if ref not in found]
    if not missing:
        return found, []
    [paywalls] = yield [users.existing_paywalls(list({ref.paywall_id for ref in missing}))]
    known = {paywall_id for paywall_id, _ in paywalls}
    missing = [ref for ref in missing if ref.paywall_id in known]
    if not missing:
        return found, []
    _, rows = yield [users.insert_missing(missing), users.with_paywalls(missing)]
    accounts: list[tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]] = []
    for _, _, user_id, tenant_id, _ in rows:
        accounts.append((ids.new(), tenant_id, Account.Kind.WALLET.value, user_id))
    for tenant_id in {row[3] for row in rows}:
        accounts += [(house_account_id(tenant_id, kind), tenant_id, kind, None) for kind in HOUSE_KINDS]
    yield [statements.insert_accounts(accounts)]
    made = yield from _find(missing)
    gifts = [
        Credit(
            wallet=made[UserRef(paywall_id, external_id)],
            amount=trial,
            source=f"trial:{user_id.hex}",
            kind=Transfer.Kind.TRIAL,
            counter=Account.Kind.PROMOTIONS,
            lot_kind=book.TRIAL,
        )
        for paywall_id, external_id, user_id, _, trial in rows
        if trial
    ]
    return found | made, gifts


def _find(refs: Collection[UserRef]) -> Work:
    [rows] = yield [statements.wallets_of([(ref.paywall_id, ref.external_id) for ref in refs])]
    return {UserRef(paywall_id, external_id): account_id for paywall_id, external_id, account_id in rows}
