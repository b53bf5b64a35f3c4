"""Sessions of browsers, with whose they are and where they are."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Session(AbstractBaseSession):
    """A session of Django's, whose columns are read from its data (see `paywalls/sessions.py`)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    address = models.CharField(max_length=64, blank=True, default="", db_default="")
    agent = models.CharField(max_length=300, blank=True, default="", db_default="")
    begun_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)

    @classmethod
    def get_session_store_class(cls) -> Any:
        from paywalls.sessions import SessionStore

        return SessionStore
