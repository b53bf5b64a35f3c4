"""Listening from a developer's machine: a subscription of its own, whose deliveries this process makes itself.

Workers leave them alone, so the URL needs to be reachable from here only. It lives while it is renewed, so that a
listener that was killed collects nothing for ever.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone

from webhooks import claims, recording, sending, services
from webhooks.claims import Claim, Queue
from webhooks.models import Subscription
from webhooks.sending import Result

# A listener that was killed is forgotten after so long.
ALIVE = timedelta(seconds=30)
LOOK_SECONDS = 0.2


@contextmanager
def listener(paywall_id: uuid.UUID, url: str, events: Sequence[str]) -> Iterator[tuple[Subscription, str]]:
    """A subscription with its secret, removed at the end with its deliveries. Raises InvalidSubscription."""
    Subscription.objects.filter(listening_until__lt=timezone.now() - ALIVE).delete()
    subscription, secret = services.create(
        paywall_id,
        url=url,
        events=list(events),
        created_by="manage.py listen",
        listening_until=timezone.now() + ALIVE,
    )
    try:
        yield subscription, secret
    finally:
        subscription.delete()


def forward(subscription: Subscription, told: Callable[[Claim, Result], None], stop: threading.Event) -> None:
    """Deliver what comes, in order, until `stop` is set; a failed one is told and not tried again."""
    while not stop.is_set():
        until = timezone.now() + ALIVE
        Subscription.objects.filter(pk=subscription.pk).update(
            listening_until=until, open_until=None, is_slow=False
        )
        claimed = claims.claim(Queue.PROMPT, 1, only=subscription.pk)
        for claim in claimed:
            result = sending.send(claim)
            recording.record([(claim, result)])
            told(claim, result)
        if not claimed:
            stop.wait(LOOK_SECONDS)
