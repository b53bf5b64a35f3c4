"""Nothing outlives the supervisor, not even when it is killed."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from config.startup import attached_database

FLAG = "--follow-parent"


@contextmanager
def service() -> Iterator[None]:
    """Around what a served process does: end with the parent, and hold the embedded server meanwhile.

    With `--follow-parent` standard input is a pipe that the parent holds open and never writes to: its end
    means that the parent is gone. The hold makes the last process alive stop the server, whichever that is.
    """
    # So that the `with` below ends in order, also where a library raises the signal again after its own end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with attached_database():
        if FLAG in sys.argv:
            threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
        yield


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    end_process()


def end_process() -> None:
    """SIGTERM to this process, from any thread: to the main one, which a signal elsewhere doesn't wake."""
    main = threading.main_thread().ident
    assert main
    signal.pthread_kill(main, signal.SIGTERM)
