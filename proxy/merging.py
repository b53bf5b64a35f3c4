"""Simultaneous calls for one thing, made one call: what fifty requests ask of the database at once is asked once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Merged(Generic[K, V]):
    """`await merged(key)` is `await work(key)`, shared with whoever asks for the same key meanwhile.

    Nobody gets the answer of a call that began before they asked, so that what was committed by then is in it: while
    a call is under way, those who come wait for the next one, together. One that leaves takes nothing from the others.
    """

    def __init__(self, work: Callable[[K], Awaitable[V]]) -> None:
        self._work = work
        self._running: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def __call__(self, key: K) -> V:
        """The answer of a call that begins from now on. Raises what it raises."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._call(key))
            task.add_done_callback(_looked_at)
        return await asyncio.shield(task)

    async def _call(self, key: K) -> V:
        if before := self._running.get(key):
            await asyncio.wait({before})
        self._running[key] = self._next.pop(key)
        try:
            return await self._work(key)
        finally:
            del self._running[key]


def _looked_at(task: "asyncio.Task[V]") -> None:
    """An error of which everybody has left who waited for it is nobody's."""
    if not task.cancelled():
        task.exception()
