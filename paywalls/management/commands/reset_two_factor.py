"""`manage.py reset_two_factor USERNAME`: for an operator who lost the device and the recovery codes."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from paywalls import audit, sessions, twofactor
from paywalls.models import AuditEntry


class Command(BaseCommand):
    help = "Switch off an operator's two-factor log-in and end their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"there is no user {options['username']}; see Operators → Users")
        with audit.acting(audit.Actor(AuditEntry.Actor.COMMAND, "manage.py reset_two_factor")):
            if not twofactor.remove(user):
                raise CommandError(f"two-factor log-in of {user} is off already")
        sessions.end_all(user)
        self.stdout.write(f"Two-factor log-in of {user} is off; their sessions were ended.")
