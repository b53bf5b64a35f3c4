"""Paywalls, with what each of their end users may do."""

from decimal import Decimal
from typing import Any, Unpack

from django.db import transaction

from config import secrets
from paywalls import callsettings, rules
from paywalls.callsettings import CallSettings
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Tenant
from paywalls.services.limits import SpendSettings
from paywalls.services.users import UserSettings
from paywalls.services.writing import encrypted, refuse_taken, write_changes


class PaywallLimits(UserSettings, SpendSettings, total=False):
    """What each end user of a paywall may do who has no limit of their own."""


class OptionalPaywallSettings(PaywallLimits, CallSettings, total=False):
    """What a paywall has a default for."""


class PaywallSettings(OptionalPaywallSettings, total=False):
    """`trial_credit` in nano-dollars."""

    name: str
    mode: str
    trial_credit: int
    markup_percent: Decimal
    description: str
    icon_url: str
    replay_answers: bool


def check_paywall(
    tenant: Tenant, paywall: Paywall | None, **settings: Unpack[PaywallSettings]
) -> dict[str, Any]:
    """The settings that a new or the given paywall of the tenant would have."""
    if paywall and settings.get("mode", paywall.mode) != paywall.mode:
        raise InvalidSetting(
            f'can\'t change after the paywall is made: it is "{paywall.mode}"; make another paywall instead',
            param="mode",
        )
    stored = rules.obeyed({**rules.PAYWALL, **callsettings.RULES}, settings)
    callsettings.check_together(paywall, stored)
    refuse_taken(
        tenant.paywalls.all(), paywall, stored, "name", "is the name of another paywall of this tenant"
    )
    mode = paywall.mode if paywall else stored.get("mode")
    if mode == Paywall.Mode.SHARED and stored.get("trial_credit"):
        raise InvalidSetting(
            "must be 0 in shared mode: the balance is the user's own wallet", param="trial_credit"
        )
    return stored


def create_paywall(
    tenant: Tenant,
    *,
    name: str,
    mode: str = Paywall.Mode.DEFAULT,
    trial_credit: int = 0,
    markup_percent: Decimal = Decimal(0),
    replay_answers: bool = False,
    description: str = "",
    icon_url: str = "",
    **others: Unpack[OptionalPaywallSettings],
) -> Paywall:
    """A new paywall; `trial_credit` in nano-dollars. It has no key yet (`keys.issue_key`).

    A tenant's first one in default mode is its home: the users that reports of usage name are its end users.
    Raises InvalidSetting.
    """
    stored = check_paywall(
        tenant,
        None,
        name=name,
        mode=mode,
        trial_credit=trial_credit,
        markup_percent=markup_percent,
        replay_answers=replay_answers,
        description=description,
        icon_url=icon_url,
        **others,
    )
    if "response_secret" in stored:
        stored["response_secret"] = secrets.encrypt(stored["response_secret"])
    with transaction.atomic():
        # Of two first paywalls that are made at once, one is the home.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        is_home = stored["mode"] == Paywall.Mode.DEFAULT and not tenant.paywalls.filter(is_home=True).exists()
        return Paywall.objects.create(tenant=tenant, is_home=is_home, **stored)


def update_paywall(paywall: Paywall, **settings: Unpack[PaywallSettings]) -> bool:
    """Change the given settings; whether anything differed. Without `response_secret` the stored one stays.

    Raises InvalidSetting, also for another mode.
    """
    stored = check_paywall(paywall.tenant, paywall, **settings)
    if "response_secret" in stored:
        stored["response_secret"] = encrypted(stored["response_secret"], paywall.response_secret)
    return write_changes(paywall, stored)
