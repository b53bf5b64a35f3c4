"""Signing in to a wallet: an address, a one-time code mailed to it, a session.

Nothing here tells whether an address is known: every address gets a code, and who proves to read it has a wallet from
then on.
"""

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from config import ids
from paywalls.models import EndUser, Paywall, SignInCode, Tenant, WalletUser
from paywalls.models.paywall import WALLETS
from paywalls.models.tenant import PLATFORM
from paywalls.users import UserRef

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=10)
MAX_TRIES = 5
# Codes an hour, for one address of mail and for one network address.
MAX_CODES_AN_EMAIL = 5
MAX_CODES_AN_ADDRESS = 60
# Codes are kept for the throttle, then removed.
KEPT = timedelta(days=1)


class TooManyCodes(Exception):
    """Enough codes were asked for; the next one may be in an hour."""


class WrongCode(Exception):
    """The code is not the one that was mailed; `left` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} tries left")
        self.left = left


class CodeIsOver(Exception):
    """The code has expired, was used, or was tried too often; a new one is needed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A code that was made; `plain` is known to nobody else, and goes out by mail."""

    id: uuid.UUID
    email: str
    plain: str


def make_code(email: str, address: str | None) -> Asked:
    """A new code for an address of mail, asked for from a network address. Raises TooManyCodes."""
    recent = SignInCode.objects.filter(created_at__gt=timezone.now() - timedelta(hours=1))
    # Codes that somebody signed in with don't count, or who else asks would learn of it by being refused sooner.
    if recent.filter(email=email, used_at=None).count() >= MAX_CODES_AN_EMAIL:
        raise TooManyCodes
    if address and recent.filter(address=address).count() >= MAX_CODES_AN_ADDRESS:
        raise TooManyCodes
    key, plain = ids.new(), f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    until = timezone.now() + CODE_LIFE
    SignInCode.objects.create(
        id=key, email=email, digest=_digest(key, plain), expires_at=until, address=address
    )
    return Asked(key, email, plain)


def mail_code(asked: Asked) -> None:
    """Send a code to its address. Raises OSError (of which SMTP's errors are) where that fails."""
    host = settings.PUBLIC_URL.partition("://")[2]
    text = _(
        "%(code)s is your code for %(host)s. It works once, within 10 minutes, in the browser that asked for it.\n\n"
        "If you didn't ask for it, ignore this message: without the code nobody gets in."
    )
    subject = _("Your code: %(code)s") % {"code": asked.plain}
    send_mail(subject, text % {"code": asked.plain, "host": host}, None, [asked.email])


def check_code(key: uuid.UUID, plain: str) -> WalletUser:
    """Who has proved to read the address of a code; made where they are new. Raises WrongCode or CodeIsOver."""
    live = SignInCode.objects.filter(pk=key, used_at=None, expires_at__gt=timezone.now(), tries__lt=MAX_TRIES)
    # Counted before it is looked at, so that parallel guesses are no more guesses.
    if not live.update(tries=F("tries") + 1):
        raise CodeIsOver
    code = SignInCode.objects.get(pk=key)
    if not constant_time_compare(code.digest, _digest(key, plain)):
        raise WrongCode(MAX_TRIES - code.tries)
    if not SignInCode.objects.filter(pk=key, used_at=None).update(used_at=timezone.now()):
        raise CodeIsOver
    return _known(code.email)


def forget_codes() -> int:
    """Remove codes that even the throttle doesn't need any more; the number of them."""
    removed, _rows = SignInCode.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return removed


def sign_out_everywhere(user: WalletUser) -> None:
    """End all sessions of a wallet user."""
    WalletUser.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)


def wallet_ref(user: WalletUser) -> UserRef:
    """The end user whose balance is the wallet."""
    return UserRef(WALLETS, user.user.external_id)


def _digest(key: uuid.UUID, plain: str) -> str:
    return salted_hmac("paywalls.signin", f"{key.hex}:{plain}", algorithm="sha256").hexdigest()


@transaction.atomic
def _known(email: str) -> WalletUser:
    user = WalletUser.objects.select_related("user").filter(email=email).first()
    if user is None:
        Tenant.objects.get_or_create(
            pk=PLATFORM,
            defaults={"name": "This installation", "email": "installation@tollgate.invalid"},
        )
        Paywall.objects.get_or_create(
            pk=WALLETS, defaults={"tenant_id": PLATFORM, "name": "Wallet", "mode": Paywall.Mode.SHARED}
        )
        key = ids.new()
        end_user = EndUser.objects.create(paywall_id=WALLETS, external_id=ids.public("wallet_user", key))
        user, made = WalletUser.objects.get_or_create(email=email, defaults={"id": key, "user": end_user})
        if not made:  # another first sign-in was faster
            end_user.delete()
    user.signed_in_at = timezone.now()
    user.save(update_fields=["signed_in_at"])
    return user
