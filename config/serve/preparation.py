"""What happens before anything is served: settings checked, schema migrated, demo and operator made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import django
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.db import Error, connection
from django.utils.crypto import get_random_string

from config import secrets
from config.checks import TAG
from config.startup import Refused

# Two that start at once take turns here (an arbitrary number, ours on this database).
_LOCK = 7_105_114_101


def check_settings() -> None:
    """Refuse to start on what the system checks call an error."""
    django.setup()
    tags = [TAG, checks.Tags.security]
    _refuse_errors(checks.run_checks(tags=tags, include_deployment_checks=settings.PRODUCTION))


def _refuse_errors(found: Sequence[checks.CheckMessage]) -> None:
    told = [message for message in found if not message.is_silenced()]
    errors = [message for message in told if message.is_serious()]
    if errors:
        raise Refused("\n\n".join(_told(message) for message in errors))
    for message in told:
        print(_told(message), flush=True)  # noqa: T201


def prepare_database() -> None:
    """Bring the schema up to date, and make the demo where one belongs. Raises Refused."""
    with _alone():
        _refuse_errors(checks.run_checks(tags=[checks.Tags.database], databases=[connection.alias]))
        call_command("migrate", interactive=False, verbosity=0)
        if settings.DEMO:
            call_command("prepare_demo", verbosity=0)


class Operator(NamedTuple):
    """Who may log in to the admin; `password` where it was made just now, to be shown this once."""

    name: str
    password: str = ""


def make_operator() -> Operator | None:
    """The operator, made where there is none yet.

    None is made in production: a password in a log is no secret there (`manage.py createsuperuser`).
    """
    from django.contrib.auth import get_user_model

    with _alone():
        users = get_user_model().objects
        known = users.filter(is_superuser=True).order_by("pk").first()
        if known:
            return Operator(known.get_username())
        if settings.PRODUCTION:
            return None
        made = Operator("admin", get_random_string(20))
        users.create_superuser(made.name, password=made.password)
        return made


def demo_key() -> str | None:
    """The demo paywall's key, where it was kept and still opens a paywall."""
    from paywalls import keys

    key = secrets.kept(settings.DATA_DIR, "demo_key", make=False)
    return key if key and keys.find(key) else None


@contextmanager
def _alone() -> Iterator[None]:
    """One process of all that start on this database at a time; a plain answer where it can't be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield
    except Error as error:
        raise Refused(f"{_unusable(error)}\n\n{str(error).strip()}") from error
    finally:
        connection.close()  # which lets go of the lock, too


def _unusable(error: Error) -> str:
    if connection.connection is None:
        return "PostgreSQL can't be used. Check DATABASE_URL, and that the server runs and lets us in:"
    return "The database can't be prepared:"


def _told(message: checks.CheckMessage) -> str:
    hint = f"\n    {message.hint}" if message.hint else ""
    return f"{message.id}: {message.msg}{hint}"
