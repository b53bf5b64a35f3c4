"""Two-factor log-in of operators: codes of an app (TOTP, RFC 6238), and recovery codes.

A code is taken once, from a minute and a half around now. After five wrong ones in a row the next has to wait, longer
each time but never more than LONGEST_WAIT: who knows the password can slow an operator down, and a recovery code, which
nobody guesses, goes past it.
"""

import base64
import hashlib
import secrets as randomness
import time
from datetime import datetime, timedelta
from typing import Any

import pyotp
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from config import secrets
from paywalls.models import SecondFactor

ISSUER = "Tollgate"
STEP_SECONDS = 30
# Steps before and after the present one whose codes are taken: clocks differ.
TOLERANCE = 1
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(minutes=5)
RECOVERY_CODES = 10


class Refused(Exception):
    """The code was not taken; the message says why, and what to do."""


def is_on(user: Any) -> bool:
    """Whether the user is asked for a code."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def factor_of(user: Any) -> SecondFactor | None:
    """The user's second factor, confirmed or not."""
    return SecondFactor.objects.filter(user=user).first()


def begin(user: Any) -> SecondFactor:
    """The factor that the user is setting up: a secret that stays the same until it is confirmed."""
    secret = secrets.encrypt(pyotp.random_base32())
    return SecondFactor.objects.get_or_create(user=user, defaults={"secret": secret})[0]


def plain_secret(factor: SecondFactor) -> str:
    """What the app is given, to be typed where no camera is."""
    return secrets.decrypt(factor.secret)


def address(factor: SecondFactor) -> str:
    """The `otpauth://` address that the QR code holds."""
    name = factor.user.get_username()
    return pyotp.TOTP(plain_secret(factor)).provisioning_uri(name=name, issuer_name=ISSUER)


def confirm(user: Any, code: str) -> list[str]:
    """Switch it on with a first code; the recovery codes, which are shown this once. Raises Refused."""
    check(user, code, confirmed=False)
    SecondFactor.objects.filter(user=user).update(confirmed_at=timezone.now())
    return renew_recovery_codes(user)


def renew_recovery_codes(user: Any) -> list[str]:
    """New recovery codes in place of all that there were."""
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    SecondFactor.objects.filter(user=user).update(recovery_digests=[_digest(code) for code in codes])
    return codes


def remove(user: Any) -> bool:
    """Switch it off; whether there was one."""
    return SecondFactor.objects.filter(user=user).delete()[0] > 0


def check(user: Any, code: str, *, confirmed: bool = True) -> None:
    """Take a code of the app, or a recovery code, once. Raises Refused."""
    with transaction.atomic():
        factor = (
            SecondFactor.objects.select_for_update()
            .filter(user=user, confirmed_at__isnull=not confirmed)
            .first()
        )
        fault = _taken(factor, "".join(code.split())) if factor else "Two-factor log-in is not set up."
    # Outside, so that what failed is counted.
    if fault:
        raise Refused(fault)


def _taken(factor: SecondFactor, code: str) -> str:
    """Take the code under the row's lock; what is wrong with it, or nothing."""
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return _recovery_taken(factor, code)
    now = timezone.now()
    if (until := _waits_until(factor)) and now < until:
        return (
            f"Too many wrong codes. Wait {(until - now).seconds + 1} seconds, or use a recovery code."
            " If it was not you who tried, somebody knows your password: change it."
        )
    step = _step_of(factor, code)
    if step is None:
        factor.failures += 1
        factor.failed_at = now
        factor.save(update_fields=["failures", "failed_at"])
        return "This code is wrong, or was used before. Wait for the next one, and check your device's clock."
    factor.last_step, factor.failures = step, 0
    factor.save(update_fields=["last_step", "failures"])
    return ""


def _step_of(factor: SecondFactor, code: str) -> int | None:
    """Which step's code it is, of those that may still be used."""
    app = pyotp.TOTP(plain_secret(factor), interval=STEP_SECONDS)
    present = int(time.time()) // STEP_SECONDS
    for step in range(max(present - TOLERANCE, factor.last_step + 1), present + TOLERANCE + 1):
        if constant_time_compare(app.generate_otp(step), code):
            return step
    return None


def _waits_until(factor: SecondFactor) -> datetime | None:
    """Until when no code of the app is looked at."""
    over = factor.failures - FREE_FAILURES
    if over < 0 or factor.failed_at is None:
        return None
    return factor.failed_at + min(timedelta(seconds=2 ** min(over, 20)), LONGEST_WAIT)


def _recovery_taken(factor: SecondFactor, code: str) -> str:
    digest = _digest(code)
    if digest not in factor.recovery_digests:
        return "This is neither a code of six digits nor an unused recovery code."
    factor.recovery_digests = [known for known in factor.recovery_digests if known != digest]
    factor.save(update_fields=["recovery_digests"])
    return ""


def _recovery_code() -> str:
    """80 random bits as four groups of four letters and digits."""
    letters = base64.b32encode(randomness.token_bytes(10)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def _digest(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").lower().encode()).hexdigest()
