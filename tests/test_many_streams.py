"""A thousand slow streams in one process: what a stream costs is memory of its own, and nothing that runs out."""

import asyncio
import resource
from collections.abc import Iterator
from typing import Any

import aiohttp
import psutil
import pytest

from tests.fake_upstream import DONE, HELLO, USAGE, FakeUpstream, chunk
from tests.installation import Installation
from tests.leaver import wait_for
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, document

pytestmark = pytest.mark.server

STREAMS = 1_000
# A client's socket, the gateway's two, the provider's; the fake provider and the clients share this process.
FILES = 4 * STREAMS
MB = 1024 * 1024
# Both pools have limits of their own, whatever the streams.
MOST_SESSIONS, MOST_THREADS = 12, 40
# Far above what a stream takes (34 KB measured), far below what a copy of its body or a thread would.
MOST_PER_STREAM = MB // 4


@pytest.fixture(scope="module")
def files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft if soft == resource.RLIM_INFINITY else max(soft, FILES)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        pytest.skip(f"needs {FILES} open files, and the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@pytest.fixture(scope="module")
def running(files: None) -> Iterator[tuple[Installation, FakeUpstream]]:
    with FakeUpstream() as upstream, Installation.running(document(upstream, trial="1")) as site:
        yield site, upstream
        assert_books_sum(site)


class Crowd:
    """Streams that are all under way, in one event loop."""

    def __init__(self, site: Installation) -> None:
        self._site = site

    async def __aenter__(self) -> "Crowd":
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def open(self, number: int) -> aiohttp.ClientResponse:
        """A stream whose first text has come."""
        body = {"model": "fake/model", "messages": MESSAGES, "user": f"user-{number % 100}", "stream": True}
        answer = await self._session.post(
            f"{self._site.url()}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {self._site.key}"},
        )
        assert answer.status == 200, await answer.text()
        seen = b""
        while b"Hello" not in seen:
            seen += await answer.content.readany()
        return answer


def looks(site: Installation) -> dict[str, Any]:
    """What the server's process has in use, and its sessions at the database."""
    process = psutil.Process(site.process(0).pid)
    [row] = site.sql(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return {"memory": process.memory_info().rss, "threads": process.num_threads(), "sessions": row["n"]}


def charged(site: Installation) -> int:
    return int(site.sql("SELECT count(*) AS n FROM ledger_transfer WHERE kind = 'usage'")[0]["n"])


def test_a_thousand_slow_streams_take_no_thread_no_connection_and_little_memory(
    running: tuple[Installation, FakeUpstream],
) -> None:
    site, upstream = running
    go_on = asyncio.Event()
    upstream.streams(*HELLO[:2], go_on, *HELLO[2:], chunk(usage=USAGE), DONE)

    async def crowd() -> None:
        async with Crowd(site) as clients:
            before = looks(site)
            answers = await asyncio.gather(*(clients.open(number) for number in range(STREAMS)))
            during = looks(site)
            # A process has one connection for posting, and a few at most for what else it asks.
            assert during["sessions"] <= MOST_SESSIONS
            assert during["threads"] <= before["threads"] + MOST_THREADS
            each = (during["memory"] - before["memory"]) / STREAMS
            assert each < MOST_PER_STREAM
            print(f"{each / 1024:.0f} KB a stream; {before} -> {during}")
            upstream.call(go_on.set)
            ends = await asyncio.gather(*(answer.content.read() for answer in answers))
            assert all(end.endswith(DONE) for end in ends)

    asyncio.run(crowd())
    assert charged(site) == STREAMS


def test_two_hundred_that_leave_at_once_again_and_again_leave_the_memory_flat(
    running: tuple[Installation, FakeUpstream],
) -> None:
    site, upstream = running
    upstream.streams(*HELLO[:2], 60)
    before = charged(site)

    async def leave() -> None:
        async with Crowd(site) as clients:
            for answer in await asyncio.gather(*(clients.open(number) for number in range(200))):
                answer.close()

    memory = []
    for round in range(1, 4):
        upstream.requests.clear()
        asyncio.run(leave())
        wait_for(lambda: all(seen.aborted.is_set() for seen in upstream.requests), 15)
        wait_for(lambda expected=before + round * 200: charged(site) == expected, 30)
        memory.append(looks(site)["memory"])
    assert memory[-1] < memory[0] + 20 * MB
