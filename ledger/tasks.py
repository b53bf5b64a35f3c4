"""The ledger's part of the background work."""

import logging
from collections.abc import Callable
from itertools import islice

from celery import shared_task
from celery.signals import worker_ready

from ledger import idempotency, reconciliation, requests, services, unsettled
from ledger.alerts import raise_alert
from ledger.analytics import rollups
from ledger.entitlements import consuming
from ledger.models import OperatorAlert, modelspend
from ledger.payments import autotopup, cards, checkout, incoming, upkeep
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
def roll_up_usage() -> int:
    """Add to the roll-ups what was used since the last time; the number of increments."""
    return rollups.roll_up_all()


@shared_task
def settle_earnings() -> int:
    """Credit what paywalls in shared mode have earned; the number of charges and refunds."""
    return services.settle_earnings()


@shared_task
def process_stripe_events() -> int:
    """Process what Stripe told us; the number of events."""
    return incoming.process_due()


@shared_task
def pay_auto_topups() -> int:
    """Charge saved cards of wallets whose balance got low; the number of attempts."""
    return autotopup.pay_due()


@shared_task
def remove_cards() -> int:
    """Take cards from Stripe that were forgotten here while it was away; the number of attempts."""
    return cards.remove_due()


@shared_task
def look_for_payments() -> int:
    """Ask Stripe for what no webhook told us; the number of events and checkouts."""
    found = incoming.read_missed() + checkout.poll()
    if found:
        incoming.process_due()
    return found


@shared_task
def keep_stripe_connected() -> int:
    """Connect what has a key and is not connected, and end rotations; the number of accounts that could not be."""
    return upkeep.keep_connected()


@worker_ready.connect
def _connect_at_once(**_: object) -> None:
    """A key in the settings is connected when the worker starts, not when the clock first says so."""
    upkeep.soon()


@shared_task
def forget_request_keys() -> int:
    """Remove the Idempotency-Keys of requests, with their answers, after a day; the number of them."""
    return _all_of(requests.forget_keys)


@shared_task
def forget_requests() -> int:
    """Remove what is remembered of requests after REQUEST_RETENTION_DAYS; the number of them."""
    return _all_of(requests.forget_old)


@shared_task
def forget_feature_uses() -> int:
    """Remove the keys of counted uses that are old enough; the number of them."""
    return consuming.forget_old()


@shared_task
def forget_model_spends() -> int:
    """Remove what was spent on models in months that are over; the number of them."""
    return _all_of(modelspend.forget_old)


@shared_task
def verify_books() -> int:
    """Prove the books; where they don't sum, an alert stays until an operator resolves it. The number of faults."""
    faults = [str(fault) for fault in islice(verify(), 200)]
    if faults:
        log.error("the books don't sum: %s", faults[0])
        raise_alert(OperatorAlert.Kind.BOOKS, _text(faults))
    return len(faults)


def _all_of(forget: Callable[[], int]) -> int:
    """Forget in batches, a transaction each, until nothing is old enough."""
    total = 0
    while removed := forget():
        total += removed
    return total


def _text(lines: list[str]) -> str:
    more = [f"… and {len(lines) - ALERT_LINES} more"] if len(lines) > ALERT_LINES else []
    return "\n".join([*lines[:ALERT_LINES], *more])
