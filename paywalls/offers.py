"""What a paywall offers on its top-up page: amounts, the apps to go back to, plans.

Each rule answers the value as it is stored, or raises InvalidSetting.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from django.db import transaction

from config.money import MAX_AMOUNT, NANO
from paywalls import events, returns, rules
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Plan
from paywalls.models.topups import DEFAULT_PRESETS

MAX_PRESETS = 8
# Stripe's own bounds of one payment in US dollars.
LEAST_PAYMENT = NANO // 2
MOST_PAYMENT = 999_999 * NANO

_CENT = NANO // 100


class TopUpSettings(TypedDict):
    """Amounts in nano-dollars."""

    topup_minimum: int
    topup_maximum: int
    topup_presets: list[int]
    return_origins: list[str]


def payable(nano: int) -> int:
    """An amount that Stripe can take: whole cents, from 50 cents."""
    if nano % _CENT or not LEAST_PAYMENT <= nano <= MOST_PAYMENT:
        raise InvalidSetting("must be whole cents from 0.50 to 999999 US dollars")
    return nano


def origins(addresses: Sequence[str]) -> list[str]:
    """Origins such as https://app.example.com, without a path."""
    for address in addresses:
        if not isinstance(address, str) or returns.origin(address) != address:
            raise InvalidSetting(
                'must be a list of origins such as "https://app.example.com", without a path'
            )
    return list(dict.fromkeys(addresses))


def check_topup(settings: TopUpSettings) -> TopUpSettings:
    """The settings as they would be stored. Raises InvalidSetting."""
    least, most = payable(settings["topup_minimum"]), payable(settings["topup_maximum"])
    if least > most:
        raise InvalidSetting("must be at least the minimum", param="topup_maximum")
    presets = sorted(set(settings["topup_presets"]))
    if not presets:
        presets = [nano for nano in DEFAULT_PRESETS if least <= nano <= most] or [least]
    if len(presets) > MAX_PRESETS or any(nano % _CENT or not least <= nano <= most for nano in presets):
        raise InvalidSetting(
            f"must be at most {MAX_PRESETS} amounts of whole cents between the minimum and the maximum",
            param="topup_presets",
        )
    return {
        "topup_minimum": least,
        "topup_maximum": most,
        "topup_presets": presets,
        "return_origins": origins(settings["return_origins"]),
    }


def configure_topup(paywall: Paywall, settings: TopUpSettings) -> bool:
    """Make these the paywall's top-up settings; whether anything differed. Raises InvalidSetting."""
    stored: dict[str, Any] = dict(check_topup(settings))
    changed = {name: value for name, value in stored.items() if getattr(paywall, name) != value}
    if not changed:
        return False
    with transaction.atomic():
        for name, value in changed.items():
            setattr(paywall, name, value)
        paywall.save(update_fields=list(changed))
        events.updated(paywall.pk, [(name, f"{name} changed") for name in changed])
    return True


class PlanSettings(TypedDict):
    """`credit` in nano-dollars a cycle."""

    name: str
    price_id: str
    credit: int
    rolls_over: bool
    is_active: bool


PLAN_NAME = rules.line(64)


def price_id(text: str) -> str:
    """The id of a price at Stripe."""
    text = text.strip()
    if not text.startswith("price_") or len(text) > 255 or not text.isascii():
        raise InvalidSetting("must be the id of a recurring price at Stripe; it starts with price_")
    return text


def check_plan(plan: Plan | None, settings: PlanSettings) -> None:
    """Raises InvalidSetting where a new or the given plan can't be so."""
    if not 0 < (settings["credit"] or 0) <= MAX_AMOUNT:
        raise InvalidSetting("must be greater than 0", param="credit")
    if plan and plan.price_id != settings["price_id"].strip() and plan.subscriptions.exists():
        raise InvalidSetting(
            "can't change for a plan that was subscribed to; make another plan and switch this one off",
            param="price_id",
        )


def configure_plan(paywall: Paywall, settings: PlanSettings) -> Plan:
    """Make or change the paywall's plan of this name. Raises InvalidSetting.

    Another price must be asked of Stripe before the plan is offered again. Who subscribed goes on at the price that
    they took, so a plan that has subscribers keeps its price; make another plan instead.
    """
    stored: dict[str, Any] = {
        **settings,
        "name": PLAN_NAME(settings["name"]),
        "price_id": price_id(settings["price_id"]),
    }
    with transaction.atomic():
        plan = paywall.plans.select_for_update().filter(name=stored["name"]).first()
        check_plan(plan, settings)
        if plan is None:
            plan = Plan.objects.create(paywall=paywall, **stored)
            events.updated(paywall.pk, [(f"plans.{plan.name}", f"plans.{plan.name} added")])
            return plan
        changed = {name: value for name, value in stored.items() if getattr(plan, name) != value}
        if "price_id" in changed:
            changed |= {"amount": None, "checked_at": None, "fault": ""}
        if changed:
            for name, value in changed.items():
                setattr(plan, name, value)
            plan.save(update_fields=list(changed))
            events.updated(paywall.pk, [(f"plans.{plan.name}", f"plans.{plan.name} changed")])
    return plan
