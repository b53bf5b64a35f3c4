"""The tables of money. One idea a file; accounts, transfers, holds and lots are written by `ledger.posting` only."""

from ledger.models.account import Account
from ledger.models.alert import OperatorAlert
from ledger.models.autotopup import AutoTopUp
from ledger.models.burntable import BurnTable
from ledger.models.entitlement import Entitlement, FeatureUsage, FeatureUse
from ledger.models.hold import Hold
from ledger.models.idempotency import IdempotencyKey
from ledger.models.lot import Lot
from ledger.models.modelspend import ModelSpend
from ledger.models.plan_subscription import PlanSubscription
from ledger.models.reconciliation import ReconciliationItem
from ledger.models.request import ProxyRequest, RequestKey
from ledger.models.rollup import PayerDay, PayerMonth, RawHorizon, UsageDay, UsageHour, UsageIncrement
from ledger.models.saved_card import AutoCharge, CardRemoval, SavedCard
from ledger.models.split import Settlement, Split
from ledger.models.stripe_account import StripeAccount
from ledger.models.stripe_checkout import StripeCheckout
from ledger.models.stripe_event import StripeEvent
from ledger.models.stripe_payment import StripePayment
from ledger.models.topup import TopUpLink
from ledger.models.transfer import Transfer
from ledger.models.usage import UsageEvent, UsageMonth
from ledger.models.withdrawal import Withdrawal

__all__ = [
    "Account",
    "AutoCharge",
    "AutoTopUp",
    "BurnTable",
    "CardRemoval",
    "Entitlement",
    "FeatureUsage",
    "FeatureUse",
    "Hold",
    "IdempotencyKey",
    "Lot",
    "ModelSpend",
    "OperatorAlert",
    "PayerDay",
    "PayerMonth",
    "PlanSubscription",
    "ProxyRequest",
    "RawHorizon",
    "ReconciliationItem",
    "RequestKey",
    "SavedCard",
    "Settlement",
    "Split",
    "StripeAccount",
    "StripeCheckout",
    "StripeEvent",
    "StripePayment",
    "TopUpLink",
    "Transfer",
    "UsageDay",
    "UsageEvent",
    "UsageHour",
    "UsageIncrement",
    "UsageMonth",
    "Withdrawal",
]
