"""Translations, compiled where the product runs: a machine without gettext's tools speaks every language, too.

The sources are `locale/<language>/LC_MESSAGES/django.po`; what Django reads is made from them under DATA_DIR, again
whenever a source is newer.
"""

import os
from pathlib import Path

import polib


def compile_all(sources: Path, compiled: Path) -> None:
    """Bring the compiled translations up to date. Processes that start at once agree: each file is put in whole."""
    for source in sources.glob("*/LC_MESSAGES/django.po"):
        target = compiled / source.relative_to(sources).with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        polib.pofile(str(source)).save_as_mofile(str(draft))
        draft.replace(target)
