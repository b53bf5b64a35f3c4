"""Plans: end users subscribe at Stripe, and each paid invoice grants its credit once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from django.utils import timezone

from ledger.models import PlanSubscription, StripeAccount, StripeCheckout, StripePayment
from ledger.payments import accounts, refunds, stripe_api
from ledger.payments.credit import credit
from paywalls.models import Paywall, Plan

# Stripe collects a renewal about an hour after the cycle ends; until then what is left of the last one stays.
RENEWAL_MARGIN = timedelta(hours=3)

# Invoices that begin a cycle; others (a proration, one by hand) grant nothing.
_CYCLES = {"subscription_create", "subscription_cycle"}


class WrongInvoice(Exception):
    """A paid invoice of a plan that is not what the plan sells; an operator looks."""


def offered(paywall: Paywall) -> list[Plan]:
    """What an end user may subscribe to."""
    return [plan for plan in paywall.plans.order_by("amount", "name") if plan.is_offered]


def refresh(plan: Plan, account: StripeAccount) -> str:
    """Ask Stripe about the plan's price and note it; what is wrong with it, "" where nothing is.

    Raises stripe.StripeError where Stripe can't say now, or NotConnected.
    """
    fault, known = "", {}
    try:
        price = stripe_api.plain(accounts.client_of(account).v1.prices.retrieve(plan.price_id))
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
        fault = f"Stripe has no price {plan.price_id}"
    else:
        fault = _price_fault(price, account)
        if not fault:
            recurring = price["recurring"]
            known = {
                "amount": stripe_api.nano(price["unit_amount"]),
                "interval": recurring["interval"],
                "interval_count": recurring["interval_count"],
            }
    Plan.objects.filter(pk=plan.pk).update(fault=fault, checked_at=timezone.now(), **known)
    plan.refresh_from_db()
    return fault


def _price_fault(price: dict[str, Any], account: StripeAccount) -> str:
    if price["livemode"] != account.livemode:
        return "its price is of the other mode (live or test) than the key"
    if not price["active"]:
        return "its price is not active at Stripe"
    if not price.get("recurring"):
        return "its price is paid once; a plan needs a recurring one"
    if (price["recurring"].get("usage_type") or "licensed") != "licensed" or not price.get("unit_amount"):
        return "its price must be a fixed amount a cycle"
    if price["currency"] != stripe_api.CURRENCY:
        return f"its price must be in US dollars, not {price['currency']}"
    return ""


def begin(checkout: StripeCheckout, subscription: dict[str, Any]) -> PlanSubscription:
    """Note the subscription that a checkout began. Again changes nothing but its status."""
    assert checkout.plan
    row, _ = PlanSubscription.objects.update_or_create(
        subscription_id=subscription["id"],
        defaults=_standing(subscription),
        create_defaults={
            "account": checkout.account,
            "wallet": checkout.wallet,
            "plan": checkout.plan,
            "customer_id": subscription["customer"],
            **_standing(subscription),
        },
    )
    return row


def refresh_subscription(account: StripeAccount, subscription_id: str) -> bool:
    """Bring a subscription's status up to date; False where it is none of ours."""
    known = PlanSubscription.objects.filter(account=account, subscription_id=subscription_id)
    if not known.exists():
        return False
    subscription = accounts.client_of(account).v1.subscriptions.retrieve(subscription_id)
    return bool(known.update(**_standing(stripe_api.plain(subscription))))


def cancel(row: PlanSubscription) -> None:
    """End a subscription with its cycle, as its end user wishes. Raises stripe.StripeError or NotConnected."""
    asking = accounts.client_of(row.account)
    changed = asking.v1.subscriptions.update(row.subscription_id, {"cancel_at_period_end": True})
    PlanSubscription.objects.filter(pk=row.pk).update(**_standing(stripe_api.plain(changed)))


def _standing(subscription: dict[str, Any]) -> dict[str, Any]:
    items = (subscription.get("items") or {}).get("data") or [{}]
    ends = items[0].get("current_period_end")
    return {
        "status": subscription["status"],
        "ends_with_cycle": bool(subscription.get("cancel_at_period_end")),
        "cycle_ends_at": datetime.fromtimestamp(ends, UTC) if ends else None,
    }


def grant(account: StripeAccount, invoice_id: str) -> bool:
    """Grant the credit of a paid invoice, once; False where it is no invoice of a plan of ours (yet).

    Raises WrongInvoice, stripe.StripeError, NotConnected, or the ledger's refusals.
    """
    asking = accounts.client_of(account)
    invoice = stripe_api.plain(asking.v1.invoices.retrieve(invoice_id, {"expand": ["payments"]}))
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    subscription_id = details.get("subscription")
    if invoice["status"] != "paid" or not subscription_id:
        return False
    row = (
        PlanSubscription.objects.select_related("plan", "wallet", "account__paywall")
        .filter(account=account, subscription_id=subscription_id)
        .first()
    )
    if row is None or invoice.get("billing_reason") not in _CYCLES:
        return False
    ends = _check(invoice, row)
    payments = (invoice.get("payments") or {}).get("data") or []
    intent = next((p["payment"].get("payment_intent") for p in payments if p["status"] == "paid"), None) or ""
    credit(
        account,
        row.wallet,
        StripePayment.Kind.INVOICE,
        invoice["id"],
        payment_intent=intent,
        amount=stripe_api.nano(invoice["total"]),
        credited=row.plan.credit,
        expires_at=None if row.plan.rolls_over else ends + RENEWAL_MARGIN,
        metadata={"plan": row.plan.name},
    )
    refunds.sync(account, intent)
    return True


def _check(invoice: dict[str, Any], row: PlanSubscription) -> datetime:
    """The end of the cycle that the invoice pays. Raises WrongInvoice where it isn't one of the plan's price."""
    lines = [
        line
        for line in invoice["lines"]["data"]
        if (((line.get("pricing") or {}).get("price_details")) or {}).get("price") == row.plan.price_id
    ]
    wrong = [
        text
        for is_wrong, text in (
            (invoice["customer"] != row.customer_id, "another customer"),
            (invoice["currency"] != stripe_api.CURRENCY, f"the currency {invoice['currency']}"),
            (invoice["livemode"] != row.account.livemode, "the other mode"),
            (not lines, f"no line of the price {row.plan.price_id}"),
            (
                stripe_api.nano(invoice["total"]) < (row.plan.amount or 0) or invoice["total"] <= 0,
                f"a total of {invoice['total']} cents",
            ),
        )
        if is_wrong
    ]
    if wrong:
        raise WrongInvoice(f"invoice {invoice['id']} has {', '.join(wrong)}; nothing was granted")
    return datetime.fromtimestamp(max(line["period"]["end"] for line in lines), UTC)
