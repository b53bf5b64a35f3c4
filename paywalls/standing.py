"""Who may not go on: end users that an operator blocks, and paywalls that are archived.

Both hold from the next request on. A block is read with the wallet in each hold's own transaction; an archived paywall
moves its `config_version`, like any change of it.
"""

from django.db import transaction
from django.db.models.functions import Now

from paywalls import events, rules
from paywalls.errors import InvalidSetting
from paywalls.models import EndUser, Paywall

MAX_REASON = 500

_REASON = rules.line(MAX_REASON)


def check_reason(text: str) -> str:
    """A reason as it is stored. Raises InvalidSetting where it says nothing."""
    try:
        return str(_REASON(text))
    except InvalidSetting as fault:
        raise InvalidSetting(fault.message, param="reason") from None


def block_user(user: EndUser, reason: str) -> bool:
    """Refuse the user's requests, charges and top-ups from now on; whether they were free until now.

    What is under way is settled, and the balance stays. `reason` is for operators: the user isn't shown it.
    """
    free = EndUser.objects.filter(pk=user.pk, blocked_at=None)
    return bool(free.update(blocked_at=Now(), blocked_reason=check_reason(reason)))


def unblock_user(user: EndUser) -> bool:
    """Let the user go on; whether they were blocked."""
    blocked = EndUser.objects.filter(pk=user.pk, blocked_at__isnull=False)
    return bool(blocked.update(blocked_at=None, blocked_reason=""))


def archive_paywall(paywall: Paywall, reason: str) -> bool:
    """Close the paywall: its API answers 410 from the next request on; whether it was open until now.

    Requests under way are settled, an app's open holds run out, balances stay in the books, and its webhooks are told.
    Raises InvalidSetting without a reason.
    """
    reason = check_reason(reason)
    with transaction.atomic():
        open_one = Paywall.objects.filter(pk=paywall.pk, archived_at=None)
        if not open_one.update(archived_at=Now(), archived_reason=reason):
            return False
        events.archived(paywall.pk, reason)
    return True


def restore_paywall(paywall: Paywall) -> bool:
    """Open an archived paywall again, as it was; whether it was archived."""
    with transaction.atomic():
        archived = Paywall.objects.filter(pk=paywall.pk, archived_at__isnull=False)
        if not archived.update(archived_at=None, archived_reason=""):
            return False
        events.updated(paywall.pk, [("archived", "archived changed from True to False")])
    return True
