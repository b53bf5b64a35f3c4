"""The worker's Celery app. A message is only a hint to look at the database, which is the truth."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

TRANSPORT_ALIASES["folder"] = "config.broker:Transport"

if not settings.REDIS_URL:
    # The broker is a folder then, which its transport doesn't make.
    for _option in ("data_folder_in", "control_folder"):
        Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS[_option])).mkdir(parents=True, exist_ok=True)


@setup_logging.connect
def _keep_logging(**_: object) -> None:
    """Django's LOGGING stands: a receiver of this signal keeps Celery from setting up its own."""
