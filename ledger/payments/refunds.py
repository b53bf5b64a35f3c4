"""Refunds and disputes: a payment's credit follows what Stripe has taken back of it, however late and in any order.

Events only say which payment to look at. What is refunded and disputed is asked of Stripe, compared with what was
reversed so far, and the difference is posted: less than the end user has left may make debt, a won dispute gives back.
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Sum

from ledger import services
from ledger.models import Account, StripeAccount, StripePayment, Transfer
from ledger.operations import Credit
from ledger.payments import accounts, attention, stripe_api
from ledger.posting import post_receipt

# A dispute in one of these states has taken its amount; an inquiry ("warning_…") takes nothing.
_TAKING = {"needs_response", "under_review", "lost"}
_OPEN = {"needs_response", "under_review"}


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What Stripe has taken back of a payment (cents), and whether somebody must answer a dispute of it."""

    cents: int
    disputed: bool


def sync(account: StripeAccount, payment_intent: str) -> bool:
    """Bring a payment's credit in line with its refunds and disputes; False where it is none of ours, or not yet.

    One that is credited later is looked at again then. Raises stripe.StripeError or NotConnected.
    """
    while True:
        payment = StripePayment.objects.filter(account=account, payment_intent=payment_intent).first()
        if payment is None or not payment_intent:
            return False
        taken = _taken_back(account, payment_intent)
        # Somebody else corrected it since it was read: what Stripe said may be older than that.
        if _correct(payment, taken):
            break
    if taken.disputed:
        attention.tell()
    return True


def _taken_back(account: StripeAccount, payment_intent: str) -> TakenBack:
    asking = accounts.client_of(account)
    intent = stripe_api.plain(
        asking.v1.payment_intents.retrieve(payment_intent, {"expand": ["latest_charge"]})
    )
    disputes: list[dict[str, Any]] = [
        stripe_api.plain(dispute)
        for dispute in asking.v1.disputes.list({"payment_intent": payment_intent, "limit": 100}).data
    ]
    refunded = (intent.get("latest_charge") or {}).get("amount_refunded") or 0
    disputed = sum(dispute["amount"] for dispute in disputes if dispute["status"] in _TAKING)
    return TakenBack(refunded + disputed, any(dispute["status"] in _OPEN for dispute in disputes))


def _correct(seen: StripePayment, taken: TakenBack) -> bool:
    """Post the difference; False where the payment is no longer as it was seen."""
    with transaction.atomic():
        payment = StripePayment.objects.select_for_update().get(pk=seen.pk)
        if payment.corrections != seen.corrections:
            return False
        target = min(payment.credited, payment.credited * stripe_api.nano(taken.cents) // payment.amount)
        if target > payment.reversed:
            _take(payment, target - payment.reversed)
        elif target < payment.reversed:
            _give(payment, payment.reversed - target)
        if target != payment.reversed:
            payment.corrections += 1
        payment.reversed, payment.disputed = target, taken.disputed
        payment.save(update_fields=["reversed", "corrections", "disputed"])
    return True


def _take(payment: StripePayment, amount: int) -> None:
    """Reverse the newest credits of the payment first: the first one, and what won disputes gave back."""
    credits = Transfer.objects.filter(wallet=payment.wallet, kind=Transfer.Kind.DEPOSIT).filter(
        source__in=[payment.source, *(_given(payment, step) for step in range(payment.corrections))]
    )
    for credited in credits.order_by("-version"):
        gone = Transfer.objects.filter(reverses=credited).aggregate(total=Sum("amount"))["total"] or 0
        part = min(amount, credited.amount - gone)
        if part > 0:
            source = f"{payment.source}:taken:{payment.corrections}:{credited.version}"
            services.reverse(credited.pk, part, source=source, metadata={"stripe": payment.object_id})
            amount -= part
    assert amount == 0, f"{payment} has less credit left than was taken back of it"


def _give(payment: StripePayment, amount: int) -> None:
    post_receipt(
        Credit(
            wallet=payment.wallet_id,
            amount=amount,
            source=_given(payment, payment.corrections),
            kind=Transfer.Kind.DEPOSIT,
            counter=Account.Kind.STRIPE,
            metadata={"stripe": payment.object_id, "reason": "dispute won or refund failed"},
        )
    )


def _given(payment: StripePayment, step: int) -> str:
    return f"{payment.source}:given:{step}"
