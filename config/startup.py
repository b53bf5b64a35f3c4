"""What every way to start begins with: the settings, and the database that they name. Or a plain refusal."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured

from config import embedded

if TYPE_CHECKING:
    from config.embedded.attachment import Attachment


class Refused(Exception):
    """Tollgate can't start; the message tells the operator why and what to do."""


def load_settings() -> LazySettings:
    """Django's settings, read. Raises Refused where one can't be."""
    try:
        settings.INSTALLED_APPS  # noqa: B018 (the first look reads them)
    except (ImproperlyConfigured, ValueError) as error:
        raise Refused(f"A setting can't be read. {error}") from error
    except OSError as error:
        raise Refused(f"The data folder can't be used: {error}\nSet DATA_DIR to one of your own.") from error
    return settings


def attached_database() -> "AbstractContextManager[Attachment | None]":
    """The embedded server, held while it is needed; None where DATABASE_URL names another. Raises Refused."""
    if not settings.EMBEDDED:
        return nullcontext()
    try:
        return embedded.attach(settings.DATA_DIR)
    except embedded.CannotStart as error:
        raise Refused(str(error)) from error
