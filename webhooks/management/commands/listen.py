"""`manage.py listen --forward-to URL`: a paywall's events, sent to a URL on this machine as they happen."""

import signal
import threading
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from config import ids
from config.errors import ApiError
from webhooks import listening
from webhooks.claims import Claim
from webhooks.sending import Result

# What this process may send to, besides what the installation's setting allows: the developer's own machine.
_OWN_MACHINE = ["127.0.0.0/8", "::1/128"]


class Command(BaseCommand):
    help = (
        "Send a paywall's events to a local URL as they happen, signed like every delivery. Ctrl-C ends it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forward-to", required=True, metavar="URL")
        parser.add_argument(
            "--events", default="*", help="keys or prefixes, comma-separated, such as paywall.balance.*"
        )
        parser.add_argument("--paywall", help="its id (pw_…); needed where there is more than one")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.WEBHOOK_ALLOWED_NETWORKS = [*settings.WEBHOOK_ALLOWED_NETWORKS, *_OWN_MACHINE]
        paywall = self._paywall(options["paywall"])
        stop = threading.Event()
        for sort in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sort, lambda *_: stop.set())
        events = [pattern.strip() for pattern in options["events"].split(",")]
        try:
            with listening.listener(paywall.pk, options["forward_to"], events) as (subscription, secret):
                self._say(f"Listening to {paywall} ({paywall.public_id}), forwarding to {subscription.url}")
                self._say(f"Signing secret: {secret}")
                listening.forward(subscription, self._tell, stop)
        except ApiError as error:
            raise CommandError(error.message) from None

    def _paywall(self, public_id: str | None) -> Any:
        rows = apps.get_model("paywalls", "Paywall").objects.order_by("id")
        if public_id:
            try:
                rows = rows.filter(pk=ids.parse("paywall", public_id))
            except ValueError as error:
                raise CommandError(f"--paywall: {error}") from None
        found = list(rows[:20])
        if len(found) != 1:
            names = "".join(f"\n    {row.public_id}  {row}" for row in found)
            raise CommandError(
                f"Name one paywall with --paywall:{names}" if names else "There is no such paywall."
            )
        return found[0]

    def _tell(self, claim: Claim, result: Result) -> None:
        outcome = str(result.status) if result.status is not None else result.error
        event = ids.public("event", claim.event_id)
        self._say(
            f"{timezone.localtime():%H:%M:%S}  {claim.type}  {event}  {outcome}  {result.milliseconds} ms"
        )

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
