"""Debian's Chromium, which Playwright drives: found, or installed where that is allowed."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def path() -> str | None:
    """The browser's program; None where there is none and it can't be installed."""
    return _found() or (_found() if _install() else None)


def _found() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _install() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"]
    done = subprocess.run(command, capture_output=True, timeout=240)
    if done.returncode:
        subprocess.run(["apt-get", "update", "--quiet"], capture_output=True, timeout=120)
        done = subprocess.run(command, capture_output=True, timeout=240)
    return done.returncode == 0
