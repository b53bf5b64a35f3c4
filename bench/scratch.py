"""A database for one benchmark: made beside the configured one (or on the embedded server), dropped at the end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


@contextmanager
def scratch_database() -> Iterator[None]:
    """Django on a fresh database with the whole schema."""
    import django
    from django.conf import settings

    from config import embedded

    server = embedded.attach(settings.DATA_DIR) if settings.EMBEDDED else None
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(settings.DATABASES["default"]["NAME"], verbosity=0)
        if server:
            server.release()
