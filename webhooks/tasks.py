"""The worker's part: look for due deliveries, each second by the clock and whenever a hint comes."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from webhooks.delivery import courier


@shared_task
def deliver() -> int:
    """Send what is due, until nothing is; the number of attempts made."""
    return courier().run()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    courier().stop()
