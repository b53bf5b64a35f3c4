"""Crediting what Stripe took, once for each thing that was paid."""

from datetime import datetime
from typing import Any

from django.db import transaction

from ledger.models import Account, StripeAccount, StripePayment, Transfer
from ledger.models.stripe_payment import source_of
from ledger.operations import Credit, Receipt
from ledger.posting import post_receipt


def credit(
    account: StripeAccount,
    wallet: Account,
    kind: StripePayment.Kind,
    object_id: str,
    *,
    payment_intent: str,
    amount: int,
    credited: int,
    expires_at: datetime | None = None,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Credit a wallet for `amount` nano-dollars that Stripe took; `object_id` credits once, whoever tells of it.

    The receipt says whether it was credited before (`replayed`). Raises the ledger's refusals and Contention; then
    nothing is written.
    """
    with transaction.atomic():
        receipt = post_receipt(
            Credit(
                wallet=wallet.pk,
                amount=credited,
                source=source_of(object_id),
                kind=Transfer.Kind.DEPOSIT,
                counter=Account.Kind.STRIPE,
                expires_at=expires_at,
                metadata={"stripe": object_id, **(metadata or {})},
            )
        )
        StripePayment.objects.get_or_create(
            object_id=object_id,
            defaults={
                "account": account,
                "wallet": wallet,
                "kind": kind,
                "payment_intent": payment_intent,
                "amount": amount,
                "credited": credited,
            },
        )
    return receipt
