"""Payments in a document: the paywall's sections `stripe` and `topup`, and its list `plans`."""

from dataclasses import dataclass
from typing import Any

from paywalls import offers, rules
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall

KEYS = {"stripe", "topup", "plans"}
_STRIPE = {"secret_key"}
_TOPUP = {"minimum", "maximum", "presets", "return_origins"}
_PLAN = {"name", "price", "credit", "rolls_over", "active"}

TOPUP_KEYS = {
    "topup_minimum": "minimum",
    "topup_maximum": "maximum",
    "topup_presets": "presets",
    "return_origins": "return_origins",
}


@dataclass(frozen=True)
class Payments:
    """What a document says of a paywall's payments; None is what it leaves as it is, or what is faulty (noted)."""

    at: Section
    stripe_key: str | None
    topup: offers.TopUpSettings | None
    plans: list[tuple[Section, offers.PlanSettings]]


def read(at: Section, mode: str | Missing) -> Payments:
    """The payments of a paywall's section."""
    key: str | Missing | None = None
    if at.has("stripe"):
        key = at.child("stripe", keys=_STRIPE).text("secret_key", rules.secret)
        if mode == Paywall.Mode.SHARED:
            at.fault("stripe", "belongs to the installation in shared mode: set STRIPE_SECRET_KEY there")
    topup = _topup(at) if at.has("topup") else None
    plans = [_plan(section) for section in at.children("plans", keys=_PLAN)]
    return Payments(at, None if isinstance(key, Missing) else key, topup, [plan for plan in plans if plan])


def _topup(at: Section) -> offers.TopUpSettings | None:
    section = at.child("topup", keys=_TOPUP)
    settings: dict[str, Any] = {
        "topup_minimum": section.dollars("minimum", default="1"),
        "topup_maximum": section.dollars("maximum", default="500"),
        "topup_presets": section.listed("presets", _amounts),
        "return_origins": section.listed("return_origins", offers.origins),
    }
    if MISSING in settings.values():
        return None
    try:
        return offers.check_topup(settings)  # type: ignore[arg-type]
    except InvalidSetting as fault:
        section.fault(TOPUP_KEYS.get(fault.param or "", ""), fault.message)
        return None


def _amounts(texts: list[Any]) -> list[int]:
    return [rules.dollars(text) for text in texts]


def _plan(at: Section) -> tuple[Section, offers.PlanSettings] | None:
    settings: dict[str, Any] = {
        "name": at.text("name", offers.PLAN_NAME),
        "price_id": at.text("price", offers.price_id),
        "credit": at.dollars("credit"),
        "rolls_over": at.yes("rolls_over"),
        "is_active": at.yes("active") if at.has("active") else True,
    }
    return None if MISSING in settings.values() else (at, settings)  # type: ignore[return-value]
