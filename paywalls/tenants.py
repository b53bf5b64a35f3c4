"""Tenants that sign up by themselves, and the paywall whose end users their reports of usage name."""

import secrets

from django.conf import settings
from django.db import IntegrityError, transaction

from paywalls import rules, services, tenantkeys
from paywalls.errors import EmailTaken, RegistrationClosed
from paywalls.models import Paywall, Tenant

OPEN, CLOSED, INVITATION = REGISTRATION_MODES = ("open", "closed", "invitation")

# A home is called after its tenant; this is only what its owner sees.
HOME_NAME = "Home"


def register(*, name: str, email: str, tier: str, invitation: str = "") -> tuple[Tenant, str]:
    """A new tenant with its home paywall and first key; the key's text can't be read again.

    Raises RegistrationClosed by the settings REGISTRATION and INVITATION_CODES, EmailTaken, or InvalidSetting.
    """
    _check_open(invitation)
    stored = rules.obeyed(rules.TENANT, {"name": name, "email": email, "tier": tier})
    if Tenant.objects.filter(email=stored["email"]).exists():
        raise EmailTaken
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(**stored)
            home_of(tenant)
            _, plain = tenantkeys.issue(tenant, name="First key")
    except IntegrityError:  # somebody was faster with this address
        raise EmailTaken from None
    return tenant, plain


def home_of(tenant: Tenant) -> Paywall:
    """The tenant's home paywall, made where there is none.

    Its end users are the users that the metering API names, so that what "alice" spends in this paywall's chats and
    what is reported of her burn one wallet.
    """
    home = tenant.paywalls.filter(is_home=True).first()
    if home is not None:
        return home
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        home = tenant.paywalls.filter(is_home=True).first()
        if home is None:
            taken = {*tenant.paywalls.values_list("name", flat=True)}
            numbered = (HOME_NAME if n == 1 else f"{HOME_NAME} {n}" for n in range(1, len(taken) + 2))
            home = services.create_paywall(tenant, name=next(name for name in numbered if name not in taken))
    return home


def _check_open(invitation: str) -> None:
    match settings.REGISTRATION:
        case "open":
            return
        case "invitation":
            codes = [code.encode() for code in settings.INVITATION_CODES]
            given = invitation.encode("utf-8", "replace")
            if any(secrets.compare_digest(given, code) for code in codes):
                return
            raise RegistrationClosed("Registration needs an invitation code of this installation.")
        case _:
            raise RegistrationClosed(
                "Registration is closed on this installation; ask its operator for an account."
            )
