"""Wallets themselves: made, configured, and credit moved between them."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from ledger.models import Account, AutoTopUp
from ledger.operations import Configure, Move, Opened, OpenWallet, Receipt
from ledger.posting import post_one, post_receipt
from ledger.windows import NO_LIMITS, Limits
from paywalls import connections
from paywalls.models import EndUser
from paywalls.users import UserRef


@dataclass(frozen=True, slots=True)
class WalletSettings:
    """What a wallet is told to keep to, in nano-dollars; None is none.

    `low_balance`: below it the balance counts as low. `topup_amount`: what an auto top-up adds then, at most
    `topup_month_limit` a month.
    """

    limits: Limits = NO_LIMITS
    low_balance: int | None = None
    topup_amount: int | None = None
    topup_month_limit: int | None = None


def ensure_user(user: UserRef) -> EndUser:
    """The end user, made with wallet and trial credit where they are new. Raises UnknownPaywall or Contention."""
    found = EndUser.objects.filter(
        paywall_id=user.paywall_id, external_id=user.external_id, wallet__isnull=False
    ).first()
    if found is None:
        post_one(OpenWallet(user))
        found = EndUser.objects.get(paywall_id=user.paywall_id, external_id=user.external_id)
    return found


def payer_of(user: UserRef) -> EndUser:
    """The end user whose wallet pays for this one: in shared mode that of the wallet user, else as `ensure_user`.

    Raises NotConnected, UnknownPaywall or Contention.
    """
    if connection := connections.live(user):
        return connection.wallet_user.user
    return ensure_user(user)


def configure_wallet(user: UserRef, settings: WalletSettings) -> None:
    """Make these the wallet's settings, all of them. Raises ValueError where they don't fit together.

    A wallet that is below a new threshold crosses it now.
    """
    if settings.topup_amount is None and settings.topup_month_limit is not None:
        raise ValueError("autoTopUp.monthLimit: needs autoTopUp.amount")
    if settings.topup_amount is not None and settings.low_balance is None:
        raise ValueError("autoTopUp: needs a lowBalance to start at")
    if settings.topup_month_limit is not None and settings.topup_month_limit < (settings.topup_amount or 0):
        raise ValueError("autoTopUp.monthLimit: must cover autoTopUp.amount")
    with transaction.atomic():
        opened = post_one(Configure(user, settings.limits, settings.low_balance))
        assert isinstance(opened, Opened)
        if settings.topup_amount is None:
            AutoTopUp.objects.filter(account_id=opened.account_id).delete()
        else:
            AutoTopUp.objects.update_or_create(
                account_id=opened.account_id,
                defaults={"amount": settings.topup_amount, "month_limit": settings.topup_month_limit},
            )


def wallet_settings(user: UserRef) -> WalletSettings:
    """The settings of an end user's wallet; of somebody never seen, none."""
    account = (
        Account.objects.select_related("auto_topup")
        .filter(user__paywall_id=user.paywall_id, user__external_id=user.external_id)
        .first()
    )
    if account is None:
        return WalletSettings()
    topup = getattr(account, "auto_topup", None)
    return WalletSettings(
        limits=Limits(account.day_limit, account.month_limit),
        low_balance=account.low_balance,
        topup_amount=topup.amount if topup else None,
        topup_month_limit=topup.month_limit if topup else None,
    )


def transfer(
    payer: UserRef, payee: UserRef, amount: int, *, source: str, metadata: dict[str, Any] | None = None
) -> Receipt:
    """Move credit from one end user to another of the same tenant; the receipt is the payer's.

    Each part keeps its kind, priority and expiry. Raises InsufficientFunds, BalanceTooLarge, AnotherTenant or
    UnknownPaywall; ValueError where payer and payee are one.
    """
    if payer == payee:
        raise ValueError("a transfer needs two wallets")
    return post_receipt(Move(payer, payee, amount, source, metadata=metadata or {}))
