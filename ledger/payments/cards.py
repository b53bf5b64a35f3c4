"""Saved cards for auto top-up: only with the end user's word, and never for more than they agreed to."""

import logging
from typing import Any

import stripe
from django.db import transaction

from ledger import services
from ledger.models import Account, AutoTopUp, SavedCard, StripeCheckout
from ledger.payments import accounts
from ledger.services import WalletSettings
from ledger.windows import Limits
from paywalls.users import UserRef

log = logging.getLogger("tollgate.payments")


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
    if card := forget(wallet):
        detach(card)


def forget(wallet: Account) -> SavedCard | None:
    """Switch auto top-up off and forget the card here; the card, which `detach` takes from Stripe afterwards."""
    with transaction.atomic():
        AutoTopUp.objects.filter(account=wallet).delete()
        card = SavedCard.objects.select_related("account__paywall").filter(wallet=wallet).first()
        SavedCard.objects.filter(wallet=wallet).delete()
    return card


def detach(card: SavedCard) -> None:
    """Take a forgotten card from its customer at Stripe. Where that fails nothing is charged to it all the same."""
    try:
        accounts.client_of(card.account).v1.payment_methods.detach(card.payment_method_id)
    except (stripe.StripeError, accounts.NotConnected) as error:
        log.warning("the card %s was forgotten here and could not be removed at Stripe: %s", card, error)


def card_of(wallet: Account) -> SavedCard | None:
    """The wallet's saved card, where auto top-up is on."""
    return SavedCard.objects.filter(wallet=wallet, wallet__auto_topup__isnull=False).first()
