"""The worker's part: look for due deliveries, each second by the clock and whenever a hint comes; forget old ones."""

from functools import cache
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from ledger.alerts import raise_alert
from ledger.models import OperatorAlert
from webhooks import deactivation, retention
from webhooks.delivery import Courier
from webhooks.models import Subscription


@shared_task
def deliver() -> int:
    """Send what is due, until nothing is; the number of attempts made."""
    return courier().run()


@shared_task
def forget_old_events() -> int:
    """Remove events and finished deliveries that are old enough; the number of events."""
    return retention.forget_old()


@cache
def courier() -> Courier:
    """This process's courier."""
    return Courier(settings.WEBHOOK_SENDERS, gave_up=alert)


def alert(endpoint: Subscription) -> None:
    """Tell the operators; the alert lists every endpoint that was given up and is still inactive."""
    raise_alert(OperatorAlert.Kind.WEBHOOKS, "\n".join(deactivation.given_up()))


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    courier().stop()
