"""How operators join a tenant's team."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from paywalls.models import Membership, Tenant
from paywalls.roles import Role


@dataclass(frozen=True)
class Invitation:
    """A new member, and the link by which they set their password ("" where they have one, or another tenant's)."""

    member: Membership
    link: str


@transaction.atomic
def invite(tenant: Tenant, email: str, role: Role) -> Invitation:
    """Make somebody an operator of the tenant, known by their address. Who is a member already gets the role.

    The link opens an account, so it is made only where the account is new, or nobody else's yet.
    """
    email = email.strip().lower()
    user = User.objects.filter(email__iexact=email).order_by("pk").first()
    if user is None:
        user = User(username=email[:150], email=email, is_staff=True)
        user.set_unusable_password()
        user.save()
    elif not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    member, _ = Membership.objects.update_or_create(user=user, tenant=tenant, defaults={"role": role})
    is_ours = not user.is_superuser and not user.memberships.exclude(tenant=tenant).exists()
    return Invitation(member, set_password_link(user) if is_ours and not user.has_usable_password() else "")


def set_password_link(user: User) -> str:
    """Works once, for PASSWORD_RESET_TIMEOUT seconds."""
    place = reverse(
        "operator-invitation",
        args=[urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)],
    )
    return f"{settings.PUBLIC_URL}{place}"


def mail_is_sent() -> bool:
    """Whether mail leaves this machine."""
    return not settings.EMAIL_BACKEND.endswith("console.EmailBackend")
