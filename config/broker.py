"""The queue of the embedded default: a folder of messages, each of which is there whole or not at all.

kombu's own folder shows a message while it is being written, and a worker that reads it then stops for good.
"""

import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import orjson
from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """Messages appear and are taken by renaming, which is one step."""

    # kombu's two base classes name the argument differently.
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns()}_{uuid.uuid4().hex}.{queue}.msg"
        draft = Path(self.data_folder_out, f"{name}.draft")
        draft.write_bytes(orjson.dumps(payload))
        draft.rename(draft.with_suffix(""))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """The oldest message. Raises Empty."""
        for path in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            try:
                taken = path.rename(path.with_suffix(".taken"))
            except FileNotFoundError:  # another worker was faster
                continue
            payload: dict[str, Any] = orjson.loads(taken.read_bytes())
            taken.unlink()
            return payload
        raise Empty


class Transport(filesystem.Transport):
    Channel = Channel
