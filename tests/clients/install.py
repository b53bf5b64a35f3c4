"""Installs the real clients into the user's cache folder, outside of the tree: `make clients` does it, then tests them.

Both folders are named after what is pinned, so another pin is another folder and a second run installs nothing.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
UV = "uv>=0.9,<1"
# What npm may keep from one installation for the next, whatever the user's settings say.
NPM = ["ci", "--no-audit", "--no-fund", "--loglevel=error"]


def _folder(kind: str, *parts: str | bytes) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pinned = hashlib.sha256(b"\0".join(part.encode() if isinstance(part, str) else part for part in parts))
    return cache / "tollgate-clients" / f"{kind}-{pinned.hexdigest()[:12]}"


def python_folder() -> Path:
    """The virtual environment that the Python clients are in, or will be."""
    pins = (HERE / "python" / "requirements.txt").read_bytes()
    return _folder("python", pins, sys.implementation.cache_tag, platform.machine())


def node_folder() -> Path:
    """The folder whose `node_modules` the Node clients are in, or will be."""
    return _folder("node", (HERE / "node" / "package-lock.json").read_bytes(), platform.machine())


def installed(folder: Path) -> bool:
    """Whether an installation came to its end."""
    return (folder / ".complete").exists()


def missing(kind: str) -> str:
    """Why the clients of a kind ("python", "node") can't be run; empty where they can."""
    if kind == "node" and not shutil.which("node"):
        return "node isn't installed"
    return "" if installed(python_folder() if kind == "python" else node_folder()) else "not installed"


def _install_python(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    # pip takes minutes for what uv does in seconds.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, UV], check=True)
    pins = HERE / "python" / "requirements.txt"
    uv = [folder / "bin" / "uv", "pip", "install", "--quiet", "--python", python, "--requirement", pins]
    subprocess.run(uv, check=True)


def _install_node(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / name, folder)
    subprocess.run(["npm", *NPM], cwd=folder, check=True)


def _install(folder: Path, how) -> None:
    if installed(folder):
        return
    print(f"Installing the clients into {folder}.", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    how(folder)
    (folder / ".complete").touch()


def main() -> None:
    """Install what isn't yet. Without Node its clients are left out, and their tests say so."""
    _install(python_folder(), _install_python)
    if shutil.which("node") and shutil.which("npm"):
        _install(node_folder(), _install_node)
    else:
        print("Node isn't installed: its clients are left out.")


if __name__ == "__main__":
    main()
