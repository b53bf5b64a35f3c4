"""Saved cards for auto top-up: only with the end user's word, and never for more than they agreed to."""

import logging
from datetime import timedelta
from typing import Any

import stripe
from django.db import transaction
from django.utils import timezone

from config.secrets import UndecryptableSecret
from ledger import services
from ledger.models import Account, AutoTopUp, CardRemoval, SavedCard, StripeAccount, StripeCheckout
from ledger.payments import accounts, attention, stripe_api
from ledger.services import WalletSettings
from ledger.windows import Limits
from paywalls.users import UserRef

log = logging.getLogger("tollgate.payments")

# Who takes a card away at Stripe has this long before another worker may.
LEASE = timedelta(minutes=3)
# What failed is tried again after this long, doubling up to the longest, for as long as it takes.
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=6)


def save(checkout: StripeCheckout, setup: dict[str, Any]) -> None:
    """Keep the card of a completed setup session and switch auto top-up on as the end user asked there.

    `checkout.wishes` are `threshold`, `amount` and `month_limit` in nano-dollars. A balance that is below the threshold
    now is topped up now.
    """
    method = setup["payment_method"]
    card = method.get("card") or {}
    wishes = checkout.wishes
    with transaction.atomic():
        locked = StripeCheckout.objects.select_for_update().get(pk=checkout.pk)
        if locked.state not in StripeCheckout.LIVE:
            return
        before = SavedCard.objects.select_for_update().filter(wallet=checkout.wallet).first()
        if before and before.payment_method_id != method["id"]:
            _to_remove(before)
        SavedCard.objects.update_or_create(
            wallet=checkout.wallet,
            defaults={
                "account": checkout.account,
                "customer_id": setup["customer"],
                "payment_method_id": method["id"],
                "brand": card.get("brand") or method["type"],
                "last_four": card.get("last4") or "",
                "amount": wishes["amount"],
                "month_limit": wishes["month_limit"],
            },
        )
        _configure(checkout.wallet, wishes)
        StripeCheckout.objects.filter(pk=checkout.pk).update(state=StripeCheckout.State.DONE)


def _configure(wallet: Account, wishes: dict[str, int]) -> None:
    user = wallet.user
    assert user is not None
    services.configure_wallet(
        UserRef(user.paywall_id, user.external_id),
        WalletSettings(
            limits=Limits(wallet.day_limit, wallet.month_limit),
            low_balance=wishes["threshold"],
            topup_amount=wishes["amount"],
            topup_month_limit=wishes["month_limit"],
        ),
    )


def remove(wallet: Account) -> None:
    """Switch auto top-up off and forget the card, here and at Stripe. Not inside a transaction: it asks Stripe."""
    if removal := forget(wallet):
        detach(removal)


def forget(wallet: Account) -> CardRemoval | None:
    """Switch auto top-up off and forget the card here; what is still to do at Stripe, for `detach` afterwards."""
    with transaction.atomic():
        AutoTopUp.objects.filter(account=wallet).delete()
        card = SavedCard.objects.select_for_update().filter(wallet=wallet).first()
        if card is None:
            return None
        card.delete()
        return _to_remove(card)


def card_of(wallet: Account) -> SavedCard | None:
    """The wallet's saved card, where auto top-up is on."""
    return SavedCard.objects.filter(wallet=wallet, wallet__auto_topup__isnull=False).first()


# --- Away from Stripe ------------------------------------------------------------------------------------


def _to_remove(card: SavedCard) -> CardRemoval:
    """Note, in the transaction that forgets a card, that Stripe has to; whoever is first takes it away there."""
    removal, _ = CardRemoval.objects.get_or_create(
        account=card.account,
        payment_method_id=card.payment_method_id,
        defaults={"next_attempt_at": timezone.now() + LEASE},
    )
    return removal


def remove_due(limit: int = 100) -> int:
    """Take the forgotten cards from Stripe that could not be before, each claimed by one worker; the number tried."""
    done = 0
    while done < limit and (removal := _claim()):
        detach(removal)
        done += 1
    return done


def _claim() -> CardRemoval | None:
    now = timezone.now()
    with transaction.atomic():
        due = CardRemoval.objects.select_for_update(skip_locked=True, of=("self",))
        removal = due.filter(next_attempt_at__lte=now).order_by("next_attempt_at").first()
        if removal:
            removal.next_attempt_at = now + LEASE
            removal.save(update_fields=["next_attempt_at"])
    return removal


def detach(removal: CardRemoval) -> None:
    """Take a forgotten card from its customer at Stripe, or keep the removal for a later try.

    Nothing is charged to it all the same. Not inside a transaction: it asks Stripe.
    """
    account = StripeAccount.objects.select_related("paywall").get(pk=removal.account_id)
    try:
        _take_away(accounts.client_of(account), removal.payment_method_id)
    except (stripe.StripeError, accounts.NotConnected, UndecryptableSecret) as error:
        if account.disconnected_at:
            log.warning("%s was disconnected: remove the card %s there by hand", account, removal)
        else:
            _later(removal, stripe_api.reason(error) if isinstance(error, stripe.StripeError) else str(error))
            return
    removal.delete()


def _take_away(asking: stripe.StripeClient, payment_method_id: str) -> None:
    """Raises stripe.StripeError unless the card is nobody's now."""
    try:
        asking.v1.payment_methods.detach(payment_method_id)
    except stripe.InvalidRequestError as error:
        # Stripe has no code for a card that was taken away before.
        if (
            error.code != "resource_missing"
            and asking.v1.payment_methods.retrieve(payment_method_id).customer
        ):
            raise


def _later(removal: CardRemoval, error: str) -> None:
    attempts = removal.attempts + 1
    wait = min(FIRST_RETRY * 2 ** min(attempts, 12), LONGEST_RETRY)
    log.warning("the card %s was forgotten here and could not be removed at Stripe: %s", removal, error)
    CardRemoval.objects.filter(pk=removal.pk).update(
        attempts=attempts, error=error, next_attempt_at=timezone.now() + wait
    )
    if attempts == attention.TRIES_OF_A_REMOVAL:
        attention.tell()
