"""From splits to earnings: what the paywalls of a tenant earned in shared mode, summed up and credited.

A charge doesn't credit the earnings itself: every request of a tenant would wait for that one row. A split says at once
what is earned, and a settlement brings what has gathered. Amounts are nano-dollars.
"""

import uuid
from collections import defaultdict

from django.db import transaction

from ledger.events import charge_completed
from ledger.models import Account, Settlement, Split, Transfer
from ledger.operations import Earn
from ledger.posting import open_books, post_receipt
from ledger.wallets import house_account_id
from webhooks import outbox
from webhooks.drafts import Draft

# Splits in one settlement.
BATCH = 500


def settle_earnings() -> int:
    """Settle what every tenant has earned; the number of splits."""
    waiting = Split.objects.filter(settlement=None).values_list("tenant_id", flat=True).distinct()
    return sum(settle_tenant(tenant_id) for tenant_id in list(waiting))


def settle_tenant(tenant_id: uuid.UUID) -> int:
    """Settle all that a tenant has earned so far; the number of splits. Safe beside itself: each split settles once.

    Refunds may bring the earnings below zero, which the next charges pay back.
    """
    total = 0
    while settled := _settle(tenant_id):
        total += settled
    return total


@transaction.atomic
def _settle(tenant_id: uuid.UUID) -> int:
    waiting = Split.objects.select_for_update(of=("self",)).filter(tenant_id=tenant_id, settlement=None)
    splits = list(waiting.select_related("connection__user").order_by("pk")[:BATCH])
    if not splits:
        return 0
    amount = sum(split.earned for split in splits)
    settlement = Settlement.objects.create(tenant_id=tenant_id, amount=amount)
    Split.objects.filter(pk__in=[split.pk for split in splits]).update(settlement=settlement)
    if amount:
        open_books(tenant_id)
        account = house_account_id(tenant_id, Account.Kind.EARNINGS)
        kind, counter = Transfer.Kind.EARNING, Account.Kind.REVENUE
        post_receipt(Earn(account, amount, f"settlement:{settlement.pk.hex}", kind, counter))
    told: dict[uuid.UUID, list[Draft]] = defaultdict(list)
    for split in splits:
        if split.amount > 0:
            user = split.connection.user
            told[user.paywall_id].append(
                charge_completed(split.pk, settlement.public_id, user.public_id, user.external_id)
            )
    for paywall_id, drafts in told.items():
        outbox.emit(paywall_id, *drafts)
    return len(splits)


def pending(tenant_id: uuid.UUID) -> int:
    """What is earned and not settled yet."""
    return sum(Split.objects.filter(tenant_id=tenant_id, settlement=None).values_list("earned", flat=True))
