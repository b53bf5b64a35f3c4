"""Real threads, each with a database connection of its own."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(index)` in `count` threads that start together, in order. Raises what one of them raised."""
    results, errors = _run(count, work)
    if errors:
        raise errors[0]
    return [results[index] for index in range(count)]


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """The results of `count` threads that start together. A thread that fails is missing from them."""
    results, _ = _run(count, lambda _: work())
    return list(results.values())


def _run(count: int, work: Callable[[int], Any]) -> tuple[dict[int, Any], list[Exception]]:
    start = threading.Barrier(count)
    results: dict[int, Any] = {}
    errors: list[Exception] = []

    def run(index: int) -> None:
        try:
            start.wait()
            results[index] = work(index)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, errors
