"""The ledger's part of the background work."""

import logging

from celery import shared_task

from ledger import services

log = logging.getLogger("tollgate.ledger")


@shared_task
def release_stale_holds() -> int:
    """Expire the holds that dead processes left; the number of them."""
    total = 0
    while swept := services.sweep_stale_holds():
        total += swept
        log.warning("expired %s stale holds: their requests are lost", swept)
    return total
