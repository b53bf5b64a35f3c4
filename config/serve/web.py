"""One web process: uvicorn around `config.asgi`. `--fd N` serves a socket that the parent listens on."""

import argparse
import logging
import socket

import uvicorn

from config.serve import lifeline
from config.serve.connections import Connection


def main() -> None:
    """Serve until SIGTERM, then let the requests under way end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, help="a listening socket to serve, instead of HOST and PORT")
    parser.add_argument(lifeline.FLAG, action="store_true", help="end when standard input does")
    arguments = parser.parse_args()

    from django.conf import settings

    # Before a setting is read: it says how this process wants them.
    from config.asgi import application

    config = uvicorn.Config(
        application,
        host=settings.HOST,
        port=settings.PORT,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        # The gateway writes an access log of its own, and Django's LOGGING stands.
        access_log=False,
        log_config=None,
        server_header=False,
        # The application does that for Django's part, which asks who a client is.
        proxy_headers=False,
        timeout_graceful_shutdown=settings.SHUTDOWN_SECONDS,
    )
    _log_only_what_is_said()
    with lifeline.service():
        sockets = None if arguments.fd is None else [socket.socket(fileno=arguments.fd)]
        uvicorn.Server(config).run(sockets=sockets)


def _log_only_what_is_said() -> None:
    """Spare each line of the log the look for its place in the code, its thread and process, which LOGGING never names.

    As the logging module's own documentation has it; of an entitlement check they were a tenth.
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


if __name__ == "__main__":
    main()
