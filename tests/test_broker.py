"""The embedded default's queue: a message is there whole or not at all, and one worker takes it."""

import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection

from config.celery import app
from tests.threads import in_threads

MESSAGES = 400


@pytest.fixture
def channels(tmp_path: Path) -> Any:
    """Makes channels of separate processes' kind, on one folder."""
    assert app
    options = {name: str(tmp_path) for name in ("data_folder_in", "data_folder_out", "control_folder")}
    connections: list[Connection] = []

    def make() -> Any:
        connections.append(Connection("folder://localhost", transport_options=options))
        return connections[-1].channel()

    yield make
    for connection in connections:
        connection.release()


def test_messages_that_are_read_while_they_are_written_come_whole_and_once(channels: Any) -> None:
    written = threading.Event()
    payload = {"body": "x" * 10_000}

    def work(index: int) -> list[int]:
        channel = channels()
        if index == 0:
            for number in range(MESSAGES):
                channel._put("celery", {**payload, "number": number})
            written.set()
            return []
        taken = []
        while True:
            was_written = written.is_set()
            try:
                message = channel._get("celery")
            except Empty:
                if was_written:
                    return taken
                continue
            assert message["body"] == payload["body"]
            taken.append(message["number"])

    taken = [number for numbers in in_threads(4, work) for number in numbers]
    assert sorted(taken) == list(range(MESSAGES))


def test_they_come_in_the_order_they_went(channels: Any) -> None:
    channel = channels()
    for number in range(5):
        channel._put("celery", {"number": number})
    channel._put("other", {"number": 9})
    assert [channels()._get("celery")["number"] for _ in range(5)] == list(range(5))
    with pytest.raises(Empty):
        channel._get("celery")
