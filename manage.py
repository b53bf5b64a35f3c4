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
    from django.core.management import execute_from_command_line

    from config.startup import Refused, attached_database, load_settings

    command = sys.argv[1].lstrip("-") if len(sys.argv) > 1 else ""
    # Ended by SIGTERM, let go of the server all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        load_settings()
        with nullcontext() if command in WITHOUT_DATABASE else attached_database():
            execute_from_command_line(sys.argv)
    except Refused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
