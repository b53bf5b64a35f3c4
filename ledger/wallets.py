"""Wallets of end users: found, or made with their trial credit in the transaction that needs them."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from config import ids
from config.sql import Statement, Work, array
from ledger import book, statements
from ledger.models import Account, Transfer
from ledger.operations import Credit
from paywalls import teams, users
from paywalls.users import UserRef

HOUSE_KINDS = [kind.value for kind in Account.Kind if kind is not Account.Kind.WALLET]


@lru_cache(maxsize=10_000)
def house_account_id(tenant_id: uuid.UUID, kind: str) -> uuid.UUID:
    """The key of a tenant's house account. Derived, so that posting never has to look it up."""
    return uuid.uuid5(tenant_id, kind)


def make_house_accounts(tenant_ids: Collection[uuid.UUID]) -> Work:
    """Make the house accounts of tenants, where they are missing."""
    yield [statements.insert_accounts(_house_accounts(tenant_ids))]
    return []


def _house_accounts(
    tenant_ids: Collection[uuid.UUID],
) -> list[tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]]:
    return [
        (house_account_id(tenant_id, kind), tenant_id, kind, None)
        for tenant_id in tenant_ids
        for kind in HOUSE_KINDS
    ]


@dataclass(slots=True)
class Found:
    """End users' keys (`users`) and accounts: their own, or those that they are connected to, through `connections`.

    `gifts` are the trial credits to post for those that had none. A user of a shared paywall who is connected to none
    is in `unconnected`, one of an unknown paywall in neither.
    """

    users: dict[UserRef, uuid.UUID] = field(default_factory=dict)
    accounts: dict[UserRef, uuid.UUID] = field(default_factory=dict)
    connections: dict[UserRef, uuid.UUID] = field(default_factory=dict)
    gifts: list[Credit] = field(default_factory=list)
    unconnected: set[UserRef] = field(default_factory=set)


def find_or_make(refs: Collection[UserRef]) -> Work:
    """Returns what is `Found` of the end users, made where it was missing.

    Two transactions that meet a new user at once agree: the unique constraints let the second wait for the first, and
    the trial's source lets only one grant stand.
    """
    found = Found()
    yield from _find(refs, found)
    missing = [ref for ref in refs if ref not in found.accounts]
    if not missing:
        return found
    [paywalls] = yield [users.paywalls_with_wallets(list({ref.paywall_id for ref in missing}))]
    has_wallets: dict[uuid.UUID, bool] = dict(paywalls)
    found.unconnected = {ref for ref in missing if not has_wallets.get(ref.paywall_id, True)}
    missing = [ref for ref in missing if has_wallets.get(ref.paywall_id)]
    if not missing:
        return found
    _, rows = yield [users.insert_missing(missing), users.with_paywalls(missing)]
    accounts: list[tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]] = []
    for _, _, user_id, tenant_id, _ in rows:
        accounts.append((ids.new(), tenant_id, Account.Kind.WALLET.value, user_id))
    accounts += _house_accounts({row[3] for row in rows})
    yield [statements.insert_accounts(accounts)]
    yield from _find(missing, found)
    found.gifts = [
        Credit(
            wallet=found.accounts[UserRef(paywall_id, external_id)],
            amount=trial,
            source=f"trial:{user_id.hex}",
            kind=Transfer.Kind.TRIAL,
            counter=Account.Kind.PROMOTIONS,
            lot_kind=book.TRIAL,
        )
        for paywall_id, external_id, user_id, _, trial in rows
        if trial
    ]
    return found


def _find(refs: Collection[UserRef], found: Found) -> Work:
    [rows] = yield [statements.wallets_of([(ref.paywall_id, ref.external_id) for ref in refs])]
    for paywall_id, external_id, user_id, account_id, connection in rows:
        ref = UserRef(paywall_id, external_id)
        found.users[ref], found.accounts[ref] = user_id, account_id
        if connection:
            found.connections[ref] = connection


def teams_of(tenant_id: uuid.UUID, external_ids: Collection[str]) -> Work:
    """{team's id as the app has it: (its key, its wallet)} of a tenant's teams, both made where they are missing."""
    [rows] = yield [statements.team_wallets(tenant_id, external_ids)]
    found = {external_id: (team_id, account_id) for external_id, team_id, account_id in rows if account_id}
    if not (missing := [name for name in external_ids if name not in found]):
        return found
    _, rows = yield [teams.insert_missing(tenant_id, missing), statements.team_wallets(tenant_id, missing)]
    wallets = [(ids.new(), tenant_id, team_id, None) for _, team_id, _ in rows]
    [_, _, rows] = yield [
        _houses_of(tenant_id),
        statements.insert_owned_wallets(wallets),
        statements.team_wallets(tenant_id, missing),
    ]
    return found | {external_id: (team_id, account_id) for external_id, team_id, account_id in rows}


def customer_of(tenant_id: uuid.UUID) -> Work:
    """The tenant's own wallet, made where it is missing."""
    [rows] = yield [statements.customer_wallet(tenant_id)]
    if not rows:
        made = [(ids.new(), tenant_id, None, tenant_id)]
        [_, _, rows] = yield [
            _houses_of(tenant_id),
            statements.insert_owned_wallets(made),
            statements.customer_wallet(tenant_id),
        ]
    return rows[0][0]


def _houses_of(tenant_id: uuid.UUID) -> Statement:
    return statements.insert_accounts(_house_accounts([tenant_id]))


def free(account_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (id) of the accounts that nobody has locked now. Outside a transaction it locks nothing either."""
    return Statement(
        "SELECT id FROM ledger_account WHERE id = ANY(%s::uuid[]) FOR NO KEY UPDATE SKIP LOCKED",
        (array(account_ids),),
    )
