#!/usr/bin/env python
"""Django's command line; without DATABASE_URL on the embedded PostgreSQL, started where it is down."""

import os
import signal
import sys
from contextlib import nullcontext

# Commands that work on files alone; any other one may ask the database.
WITHOUT_DATABASE = {
    "",
    "help",
    "version",
    "check",
    "collectstatic",
    "findstatic",
    "spectacular",
    "diffsettings",
}


def main() -> None:
    """Run a management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from config import embedded

    command = sys.argv[1] if len(sys.argv) > 1 else ""
    needs_server = settings.EMBEDDED and command.lstrip("-") not in WITHOUT_DATABASE
    # Ended by SIGTERM, let go of the server all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with embedded.attach(settings.DATA_DIR) if needs_server else nullcontext():
            execute_from_command_line(sys.argv)
    except embedded.CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
