"""Lists of a document whose rows are another app's: each says how its entries are read, and how they are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paywalls.configuration.sections import Section
from paywalls.models import Tenant


@dataclass(frozen=True)
class Listed:
    """An entry of such a list: no two have the same `name`, which has two parts."""

    name: tuple[str, str]
    settings: Any


@dataclass(frozen=True)
class Part:
    """The list under `key`, at the top of a document; the keys of an entry, and the one that tells entries apart.

    `read` answers None where an entry is faulty, which it notes. `write` brings the rows in line, in the transaction of
    the whole document; it has nothing left to refuse.
    """

    key: str
    entry_keys: set[str]
    named_by: str
    read: Callable[[Section], Listed | None]
    write: Callable[[Tenant, Sequence[Listed]], None]


_PARTS: dict[str, Part] = {}


def register(part: Part) -> None:
    """Let documents have this list; for the `ready` of the app that owns its rows."""
    _PARTS[part.key] = part


def registered() -> list[Part]:
    """The lists that documents may have."""
    return list(_PARTS.values())


def read(top: Section, part: Part) -> list[Listed]:
    """The sound entries of a part's list in a document."""
    found: dict[tuple[str, str], Section] = {}
    entries = []
    for at in top.children(part.key, keys=part.entry_keys):
        entry = part.read(at)
        if entry is None:
            continue
        if entry.name in found:
            at.fault(part.named_by, f"is already taken by {found[entry.name].path}")
        found.setdefault(entry.name, at)
        entries.append(entry)
    return entries
