"""Operators' sessions: where they are logged in, and the end of it. Django's SESSION_ENGINE.

The browser's address and name are kept in the session, refreshed at most once a minute, and are columns beside it:
a list of somebody's sessions is one look-up, and a row that is deleted is a session that has ended.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

# The session's own entry: {"address", "agent", "begun", "seen"}.
_ENTRY = "whereabouts"
REFRESH = timedelta(minutes=1)
_MAX_AGENT = 300


class SessionStore(DatabaseStore):
    """Django's sessions in the database, in rows that say whose they are."""

    @classmethod
    def get_model_class(cls) -> Any:
        from paywalls.models import Session

        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row of the session's data."""
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        known = data.get(_ENTRY) or {}
        row.address, row.agent = known.get("address", ""), known.get("agent", "")
        row.begun_at, row.seen_at = _moment(known.get("begun")), _moment(known.get("seen"))
        return row


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is logged in. `handle` names the session without being its key."""

    handle: str
    address: str
    device: str
    begun_at: datetime | None
    seen_at: datetime | None
    is_this: bool


def touch(request: HttpRequest) -> None:
    """Remember where the session is used from; written when that changed, or a minute has passed."""
    session = request.session
    now = timezone.now()
    where = {
        "address": (request.META.get("REMOTE_ADDR") or "")[:64],
        "agent": (request.META.get("HTTP_USER_AGENT") or "")[:_MAX_AGENT],
    }
    known: dict[str, Any] = session.get(_ENTRY) or {}
    seen = _moment(known.get("seen"))
    if seen and now - seen < REFRESH and known.items() >= where.items():
        return
    session[_ENTRY] = {**where, "begun": known.get("begun") or now.isoformat(), "seen": now.isoformat()}


def places(user: Any, current: str | None = None) -> list[Place]:
    """Where the user is logged in, the last used first; `current` is the key of the session that asks."""
    return [
        Place(
            handle=_handle(row.session_key),
            address=row.address,
            device=device(row.agent),
            begun_at=row.begun_at,
            seen_at=row.seen_at,
            is_this=row.session_key == current,
        )
        for row in _live(user)
    ]


def end(user: Any, handle: str) -> bool:
    """End one session of the user's; False where it has ended already."""
    keys = [row.session_key for row in _live(user) if constant_time_compare(_handle(row.session_key), handle)]
    return _delete(user, session_key__in=keys)


def end_all(user: Any, but: str | None = None) -> int:
    """End the user's sessions, all but that of a key; how many had not ended."""
    count = sum(row.session_key != but for row in _live(user))
    from paywalls.models import Session

    Session.objects.filter(user=user).exclude(session_key=but or "").delete()
    return count


def device(agent: str) -> str:
    """A browser in words such as "Firefox on Windows", from what it says of itself."""
    browser = next((name for name, sign in _BROWSERS if re.search(sign, agent)), "")
    system = next((name for name, sign in _SYSTEMS if re.search(sign, agent)), "")
    return " on ".join(filter(None, (browser, system))) or agent[:60] or "unknown"


# The more telling first: nearly all of them say "Safari", and Edge and Opera say "Chrome".
_BROWSERS = (
    ("Edge", r"Edg(A|iOS)?/"),
    ("Opera", r"OPR/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux"),
)


def _live(user: Any) -> list[Any]:
    """Rows of sessions that still work: a password that was changed has ended those before it."""
    from paywalls.models import Session

    rows = Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-seen_at")
    now = user.get_session_auth_hash()
    return [
        row for row in rows if constant_time_compare(str(row.get_decoded().get(HASH_SESSION_KEY, "")), now)
    ]


def _delete(user: Any, **which: Any) -> bool:
    from paywalls.models import Session

    return Session.objects.filter(user=user, **which).delete()[0] > 0


def _handle(key: str) -> str:
    return hashlib.sha256(f"operator session {key}".encode()).hexdigest()[:32]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
