"""The background worker with its clock (Celery beat) in one process, for installations on one machine.

`celery worker --beat` would fork the clock off, and a killed worker would leave it behind.
"""

import argparse
import threading
import warnings

from celery.beat import Service

from config.serve import lifeline


def main() -> None:
    """Work until SIGTERM, then finish the tasks at hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(lifeline.FLAG, action="store_true", help="end when standard input does")
    parser.parse_args()

    from django.conf import settings

    from config.celery import app

    # Celery's warning to root, who may run this all the same: it takes JSON messages only.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    with lifeline.service():
        clock = Service(app, max_interval=1, schedule_filename=str(settings.DATA_DIR / "beat-schedule"))
        threading.Thread(target=_tick, args=[clock], name="beat", daemon=True).start()
        worker = app.Worker(
            pool="threads",
            concurrency=settings.WORKER_THREADS,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
        )
        worker.start()
        clock.stop()


def _tick(clock: Service) -> None:
    """Run the clock; where it breaks, end the process, so that the supervisor starts a whole one."""
    try:
        clock.start()
    except BaseException:
        lifeline.end_process()
        raise


if __name__ == "__main__":
    main()
