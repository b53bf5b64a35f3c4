"""Hints: a queue message that says "look at the table now", so that a delivery needn't wait for the next scan.

A hint carries nothing and guards nothing: losing all of them costs at most a second each.
"""

import logging
import threading

from celery import current_app

log = logging.getLogger("tollgate.webhooks")

TASK = "webhooks.tasks.deliver"

# Seconds for which hints are gathered into one. A commit that comes after its hint is usually there by then.
GATHER_SECONDS = 0.05

_wanted = threading.Event()
_starting = threading.Lock()
_sender: threading.Thread | None = None


def wake() -> None:
    """Ask a worker to look soon. Never blocks and never fails: a thread of its own sends the message."""
    global _sender
    _wanted.set()
    if _sender is None or not _sender.is_alive():
        with _starting:
            if _sender is None or not _sender.is_alive():
                _sender = threading.Thread(target=_send, name="webhook-hints", daemon=True)
                _sender.start()


def _send() -> None:
    while _wanted.wait():
        threading.Event().wait(GATHER_SECONDS)
        _wanted.clear()
        try:
            current_app.send_task(TASK, ignore_result=True, retry=False, expires=10)
        except Exception as error:
            log.warning("no hint could be sent, the scan will find the deliveries: %s", error)
