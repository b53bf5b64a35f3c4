"""From nothing to a running product, and back: everything that is started here is stopped here."""

import argparse
import signal
import sys
from contextlib import ExitStack, suppress

from config.serve import banner, preparation
from config.serve.supervisor import Supervisor, listen
from config.startup import Refused, attached_database, load_settings


def main() -> int:
    """Run until a signal ends it; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m config.serve", description=__doc__)
    parser.add_argument(
        "--web-only",
        action="store_true",
        help="serve WEB_PROCESSES and nothing else; migrations and the worker run elsewhere",
    )
    arguments = parser.parse_args()
    # Until the supervisor has taken over, a stop ends whatever is under way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(web_only=arguments.web_only)
    except Refused as refused:
        print(f"\nTollgate can't start.\n\n{refused}\n", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _run(*, web_only: bool) -> None:
    settings = load_settings()
    preparation.check_settings()
    with ExitStack() as started:
        listener = started.enter_context(listen(settings.HOST, settings.PORT))
        database = started.enter_context(attached_database())
        if not web_only:
            preparation.prepare_database()
        supervisor = Supervisor(listener, database, worker=not web_only)
        # Called before the database above is let go: what uses it ends first.
        started.callback(supervisor.stop)
        supervisor.start()
        supervisor.wait_until_ready()
        if not web_only:
            operator = preparation.make_operator()
            print(banner.text(settings, preparation.demo_key(), operator), flush=True)  # noqa: T201
        supervisor.run()


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
