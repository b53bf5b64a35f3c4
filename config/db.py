"""The database from the event loop: blocking work in a thread, and the parameters of a connection of one's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")

# What the gateway looks up in Django's way is rare (a new key, a changed price, a top-up link), so few threads do.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="database")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking database work in one of a few threads; its connection is given back when it ends."""

    def run() -> T:
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(_threads, run)


async def from_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk is read in a thread when the client has taken the one before: a slow one holds no connection."""
    while (chunk := await in_thread(next, chunks, None)) is not None:
        yield chunk


def connection_parameters() -> dict[str, Any]:
    """What psycopg needs to reach the same database as Django, without Django's own additions."""
    ours = connection.settings_dict
    parameters = {
        "dbname": ours["NAME"],
        "user": ours["USER"],
        "password": ours["PASSWORD"],
        "host": ours["HOST"],
        "port": ours["PORT"],
    }
    # Without it a server that takes the connection and says nothing is waited for over two minutes.
    parameters["connect_timeout"] = 10
    options = {key: value for key, value in ours["OPTIONS"].items() if key not in {"pool", "options"}}
    return {key: value for key, value in (parameters | options).items() if value not in ("", None)}
