"""Settlements that the database could not take: kept on the disk, replayed when it is back.

The provider has answered and the charge is known, so it must survive this process, and the events that tell of it. Each
settlement is a file of its own under DATA_DIR/unsettled, written whole before it gets its name, and removed after it
was posted. Replaying twice charges once: a hold is captured once.
"""

import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError

from ledger.errors import Contention, Refusal
from ledger.operations import Capture, RequestEvent
from ledger.requests import RequestFacts
from ledger.services import settle

log = logging.getLogger("tollgate.ledger")


def folder() -> Path:
    """Where settlements wait."""
    return Path(settings.DATA_DIR) / "unsettled"


def keep(capture: Capture) -> None:
    """Write a settlement to the disk; it is safe there when this returns. Raises OSError."""
    assert isinstance(capture.wallet, uuid.UUID)
    record = {
        "wallet": capture.wallet.hex,
        "hold": capture.hold_id.hex,
        "amount": capture.amount,
        "metadata": capture.metadata,
        "events": [{"type": event.type, "data": event.data} for event in capture.events],
        "request": capture.request._asdict() if capture.request else None,
        # Encrypted, as the database would have it.
        "answer": capture.answer,
    }
    folder().mkdir(parents=True, exist_ok=True)
    path = folder() / f"{capture.hold_id.hex}.json"
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(orjson.dumps(record))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    _sync(folder())


def replay() -> tuple[int, list[str]]:
    """Post what waits; the number settled, and a line for each that can't be: those files stay.

    One that is refused, or whose wallet is busy, keeps no other waiting. Raises OperationalError or InterfaceError
    where the database is away; what is left waits for the next time.
    """
    settled, refused = 0, []
    for path, record in _waiting():
        if record is None:
            refused.append(f"{path.name} can't be read")
            continue
        try:
            _settle(record)
        except Contention:
            log.warning("%s waits: its wallet is busy", path.name)
        except (OperationalError, InterfaceError):
            raise
        except Exception as fault:
            if not isinstance(fault, Refusal):
                log.exception("%s could not be settled", path.name)
            refused.append(f"{path.name}: {str(fault).strip() or type(fault).__name__}")
        else:
            path.unlink()
            settled += 1
            log.warning("settled late: %s", record["hold"])
    return settled, refused


def _settle(record: dict[str, Any]) -> None:
    hold = uuid.UUID(hex=record["hold"])
    settle(
        uuid.UUID(hex=record["wallet"]),
        hold,
        record["amount"],
        metadata={**record["metadata"], "settled_late": True},
        events=[RequestEvent(one["type"], hold, one["data"]) for one in record["events"]],
        request=RequestFacts.read(record["request"]) if record.get("request") else None,
        answer=record.get("answer", ""),
    )


def _waiting() -> Iterator[tuple[Path, dict[str, Any] | None]]:
    for path in sorted(folder().glob("*.json")):
        try:
            record = orjson.loads(path.read_bytes())
        except FileNotFoundError:  # another process settled it
            continue
        except (OSError, orjson.JSONDecodeError):
            record = None
        yield path, record


def _sync(directory: Path) -> None:
    """A new name is durable once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
