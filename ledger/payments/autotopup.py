"""Auto top-up: one payment with the saved card for each time that a balance falls below its threshold.

Posting writes the row of the payment in the transaction of the crossing (`statements.insert_auto_charges`); a worker
carries it out. The row's key is the payment's idempotency key, and what is asked of Stripe is kept with it, so that a
repeated attempt is the same payment.
"""

import logging
import uuid
from datetime import timedelta
from typing import Any

import stripe
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from config import ids
from ledger import topup_events
from ledger.models import AutoCharge, AutoTopUp, SavedCard, StripeAccount, StripePayment
from ledger.payments import accounts, attention, cards, refunds, stripe_api
from ledger.payments.credit import credit

log = logging.getLogger("tollgate.payments")

# Who carries a payment out has this long before another worker may.
LEASE = timedelta(minutes=3)
LONGEST_RETRY = timedelta(hours=1)
# Stripe forgets idempotency keys after 24 hours; a repeated attempt would be a second payment then.
GIVE_UP_AFTER = timedelta(hours=20)
# How often a payment whose money comes later is asked for.
ASK_AGAIN = timedelta(hours=1)

State = AutoCharge.State
_OVER = (State.PAID, State.DECLINED, State.SKIPPED, State.FAILED)


def pay_due(limit: int = 100) -> int:
    """Carry out the payments that are due, each claimed by one worker; the number of them."""
    done = 0
    while done < limit and (charge := _claim()):
        _pay(charge)
        done += 1
    return done


def _claim() -> AutoCharge | None:
    now = timezone.now()
    with transaction.atomic():
        charge = (
            AutoCharge.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("wallet__user__paywall")
            .filter(state__in=[State.DUE, State.PROCESSING], next_attempt_at__lte=now)
            .order_by("next_attempt_at")
            .first()
        )
        if charge:
            charge.attempts += 1
            charge.next_attempt_at = now + LEASE
            charge.save(update_fields=["attempts", "next_attempt_at"])
    return charge


def _pay(charge: AutoCharge) -> None:
    card = SavedCard.objects.select_related("account__paywall").filter(wallet=charge.wallet).first()
    if not charge.request and not (card and _decide(charge, card)):
        return
    if card is None:
        # It was asked of Stripe before, and the card was taken back since: no new attempt with it.
        _end(
            charge,
            State.FAILED,
            "The card was removed while the payment was under way; look for it at Stripe.",
        )
        attention.tell()
        return
    if timezone.now() - charge.created_at > GIVE_UP_AFTER and charge.state == State.DUE:
        _end(charge, State.FAILED, f"Stripe could not be asked in time. {charge.error}")
        attention.tell()
        return
    try:
        asking = accounts.client_of(card.account)
        if charge.payment_intent:
            intent = asking.v1.payment_intents.retrieve(charge.payment_intent)
        else:
            intent = asking.v1.payment_intents.create(
                charge.request,
                {"idempotency_key": f"tollgate-auto-{charge.pk.hex}"},
            )
        _outcome(charge, card.account, stripe_api.plain(intent))
    except stripe.CardError as error:
        _declined(charge, error.code or "card_declined", stripe_api.reason(error))
    except (stripe.StripeError, accounts.NotConnected) as error:
        if isinstance(error, stripe.InvalidRequestError):
            _declined(charge, error.code or "card_unusable", stripe_api.reason(error))
        else:
            _later(charge, str(error))
    except Exception as error:
        log.exception("the auto top-up %s failed", charge.pk)
        _later(charge, repr(error))


def _decide(charge: AutoCharge, card: SavedCard) -> bool:
    """Fix what is paid, before the first attempt: what is configured, within what the end user agreed to."""
    wanted = AutoTopUp.objects.filter(account=charge.wallet).first()
    if wanted is None:
        _end(charge, State.SKIPPED, "Auto top-up was switched off.")
        return False
    amount = min(wanted.amount, card.amount)
    amount -= amount % stripe_api.nano(1)
    cap = min(card.month_limit, wanted.month_limit or card.month_limit)
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    paid = StripePayment.objects.filter(
        wallet=charge.wallet, kind=StripePayment.Kind.AUTO, created_at__gte=month
    ).aggregate(total=Sum("amount"))["total"]
    if amount <= 0 or (paid or 0) + amount > cap:
        _end(charge, State.SKIPPED, "The month's limit is reached.")
        return False
    user = charge.wallet.user
    charge.amount = amount
    charge.request = {
        "amount": stripe_api.cents(amount),
        "currency": stripe_api.CURRENCY,
        "customer": card.customer_id,
        "payment_method": card.payment_method_id,
        "off_session": True,
        "confirm": True,
        "error_on_requires_action": True,
        "description": f"Auto top-up of {user.paywall.name}" if user else "Auto top-up",
        "metadata": {
            "tollgate_auto": charge.pk.hex,
            "paywall": ids.public("paywall", user.paywall_id) if user else "",
            "user": user.public_id if user else "",
        },
    }
    charge.save(update_fields=["amount", "request"])
    return True


def _outcome(charge: AutoCharge, account: StripeAccount, intent: dict[str, Any]) -> None:
    """Write what became of the payment. Raises where it can't be credited; then it is asked for again."""
    if intent["status"] == "succeeded":
        _credit(charge, account, intent)
    elif intent["status"] == "processing":
        AutoCharge.objects.filter(pk=charge.pk).exclude(state__in=_OVER).update(
            state=State.PROCESSING, payment_intent=intent["id"], next_attempt_at=timezone.now() + ASK_AGAIN
        )
    else:
        error = intent.get("last_payment_error") or {}
        _declined(charge, error.get("code") or "card_declined", error.get("message") or intent["status"])


def _credit(charge: AutoCharge, account: StripeAccount, intent: dict[str, Any]) -> None:
    found = (intent["amount_received"], intent["currency"], intent["livemode"], intent["customer"])
    wanted = (
        stripe_api.cents(charge.amount),
        stripe_api.CURRENCY,
        account.livemode,
        charge.request["customer"],
    )
    if found != wanted:
        _end(charge, State.FAILED, f"Stripe took {found}, which should be {wanted}; nothing was credited.")
        attention.tell()
        return
    with transaction.atomic():
        locked = AutoCharge.objects.select_for_update().get(pk=charge.pk)
        if locked.state == State.PAID:
            return
        credit(
            account,
            charge.wallet,
            StripePayment.Kind.AUTO,
            intent["id"],
            payment_intent=intent["id"],
            amount=charge.amount,
            credited=charge.amount,
        )
        AutoCharge.objects.filter(pk=charge.pk).update(
            state=State.PAID, payment_intent=intent["id"], error=""
        )
    refunds.sync(account, intent["id"])


def _declined(charge: AutoCharge, code: str, text: str) -> None:
    """Switch auto top-up off and tell: a card that doesn't work is not tried again and again."""
    removal = None
    with transaction.atomic():
        if _end(charge, State.DECLINED, text):
            removal = cards.forget(charge.wallet)
            topup_events.auto_topup_failed(charge.wallet, charge.amount, code)
    if removal:
        cards.detach(removal)


def _later(charge: AutoCharge, error: str) -> None:
    wait = min(timedelta(seconds=10) * 2 ** min(charge.attempts, 12), LONGEST_RETRY)
    AutoCharge.objects.filter(pk=charge.pk).exclude(state__in=_OVER).update(
        error=error, next_attempt_at=timezone.now() + wait
    )


def _end(charge: AutoCharge, state: AutoCharge.State, error: str) -> bool:
    return bool(
        AutoCharge.objects.filter(pk=charge.pk).exclude(state__in=_OVER).update(state=state, error=error)
    )


def settle(account: StripeAccount, intent: dict[str, Any]) -> bool:
    """Look at the payment that an event tells of; False where it is none of ours."""
    claimed = (intent.get("metadata") or {}).get("tollgate_auto", "")
    try:
        key = uuid.UUID(hex=claimed)
    except ValueError:
        return False
    charge = AutoCharge.objects.select_related("wallet__user__paywall").filter(pk=key).first()
    if charge is None or not charge.request:
        return False
    asking = accounts.client_of(account)
    real = stripe_api.plain(asking.v1.payment_intents.retrieve(intent["id"]))
    if (real.get("metadata") or {}).get("tollgate_auto") != claimed:
        return False
    _outcome(charge, account, real)
    return True
