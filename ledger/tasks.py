"""The ledger's part of the background work."""

import logging
from itertools import islice

from celery import shared_task

from ledger import idempotency, reconciliation, services, unsettled
from ledger.alerts import raise_alert
from ledger.models import OperatorAlert
from ledger.verification import verify

log = logging.getLogger("tollgate.ledger")

# Lines of an alert's text.
ALERT_LINES = 20


@shared_task
def release_stale_holds() -> int:
    """Expire the holds that dead processes left; the number of them."""
    total = 0
    while swept := services.sweep_stale_holds():
        total += swept
        log.warning("expired %s stale holds: their requests are lost", swept)
    return total


@shared_task
def expire_credits() -> int:
    """Take expired credits to breakage; the number of wallets."""
    total = 0
    while expired := services.expire_credits():
        total += expired
    return total


@shared_task
def replay_unsettled() -> int:
    """Settle what the database could not take before; the number settled."""
    settled, refused = unsettled.replay()
    if refused:
        raise_alert(OperatorAlert.Kind.UNSETTLED, _text(refused))
    return settled


@shared_task
def close_overdue_items() -> int:
    """Close the reconciliation items whose deadline has passed; the number of them."""
    return reconciliation.close_overdue()


@shared_task
def forget_idempotency_keys() -> int:
    """Remove answers that are old enough; the number of them."""
    return idempotency.forget_old()


@shared_task
def verify_books() -> int:
    """Prove the books; where they don't sum, an alert stays until an operator resolves it. The number of faults."""
    faults = [str(fault) for fault in islice(verify(), 200)]
    if faults:
        log.error("the books don't sum: %s", faults[0])
        raise_alert(OperatorAlert.Kind.BOOKS, _text(faults))
    return len(faults)


def _text(lines: list[str]) -> str:
    more = [f"… and {len(lines) - ALERT_LINES} more"] if len(lines) > ALERT_LINES else []
    return "\n".join([*lines[:ALERT_LINES], *more])
