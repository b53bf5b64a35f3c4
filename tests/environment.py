"""Where the tests run: a temporary data folder, and an embedded PostgreSQL where DATABASE_URL names none.

From here on DATABASE_URL always names one, so that both ways run the same code. What else a developer's shell
or `.env` says about the product doesn't count.
"""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config import embedded

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

# Nothing here outlives the session, so it needn't survive a power cut.
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200"}


def clean() -> dict[str, str]:
    """The environment for a process of the product: without its variables and the tests' settings."""
    ours = {*VARIABLES, "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in os.environ.items() if name not in ours} | {"ENV_FILE": os.devnull}


def prepare() -> None:
    """Set this process's environment, and start what the tests need until it ends."""
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)}
    data_dir = Path(tempfile.mkdtemp(prefix="tollgate-tests-"))
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    if "DATABASE_URL" not in given:
        server = embedded.attach(data_dir, **FAST)
        atexit.register(server.release)
        given["DATABASE_URL"] = (
            f"postgres://{embedded.USER}@/{embedded.socket_dir(data_dir)}/{embedded.DATABASE}"
        )
    if "REDIS_URL" in given:
        given["REDIS_URL"] = _own_redis(given["REDIS_URL"])
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ |= given | {"ENV_FILE": os.devnull, "DATA_DIR": str(data_dir), "SANDBOX_CHECKOUT": "true"}


def _own_redis(url: str) -> str:
    """Another database of the same Redis for each of the processes that run tests side by side."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if not worker:
        return url
    parts = urlsplit(url)
    number = int(parts.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw"))
    return urlunsplit(parts._replace(path=f"/{number}"))
