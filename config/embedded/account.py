"""Which system user the embedded server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

SYSTEM_USER = "pgserver"


def account_for(folder: Path) -> dict[str, Any]:
    """How `subprocess.run` must start the server's programs: nothing special, but for root as another user.

    Root takes the user who owns the data, else a system user of its own, made on first use.
    """
    if os.geteuid() != 0:
        return {}
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    entry = _system_user()
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
        subprocess.run([*command, SYSTEM_USER], check=True, capture_output=True, text=True)
        return pwd.getpwnam(SYSTEM_USER)


def open_way(path: Path) -> None:
    """Let other users pass through the folders above `path` (not list them), as far as they can't yet."""
    for folder in path.parents:
        _allow(folder, stat.S_IXOTH)


def open_tree(top: Path) -> None:
    """Let other users read and run what is under `top`: programs installed under a strict umask."""
    open_way(top)
    for path in [top, *top.rglob("*")]:
        if path.is_symlink():
            continue
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        _allow(path, stat.S_IROTH | (stat.S_IXOTH if runs else 0))


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)
