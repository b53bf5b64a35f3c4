"""What happened to a wallet, across paywalls: for its owner's eyes only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from config import money
from config.spreadsheet import csv_line, harmless
from ledger import export
from ledger.models import Transfer
from paywalls.models import WalletUser

COLUMNS = ("activity_id", "created_at", "kind", "paywall", "amount", "balance_after")


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement (nano-dollars, below zero out of the wallet); `paywall` is the name of whom it paid, or ''."""

    activity_id: str
    created_at: datetime
    kind: str
    title: str
    paywall: str
    amount: int
    balance_after: int


def page(user: WalletUser, limit: int, before: int | None = None) -> tuple[list[Entry], int | None]:
    """Entries, newest first, and where the next page begins (`before`), None after the last."""
    found = Transfer.objects.filter(wallet__user=user.user)
    if before is not None:
        found = found.filter(version__lt=before)
    rows = list(found.select_related("split__connection__paywall").order_by("-version")[: limit + 1])
    return [_entry(row) for row in rows[:limit]], rows[limit - 1].version if len(rows) > limit else None


def csv_chunks(user: WalletUser) -> Iterator[bytes]:
    """All entries, newest first, as CSV in UTF-8, a page of rows at a time."""
    yield csv_line(COLUMNS)
    before: int | None = None
    while True:
        entries, before = page(user, export.PAGE, before)
        if entries:
            yield b"".join(_csv(entry) for entry in entries)
        if before is None:
            return


def _entry(row: Transfer) -> Entry:
    split = getattr(row, "split", None)
    name = split.connection.paywall.name if split else ""
    change = row.balance_after - row.balance_before
    title = row.get_kind_display()
    return Entry(row.public_id, row.created_at, row.kind, title, name, change, row.balance_after)


def _csv(entry: Entry) -> bytes:
    return csv_line(
        (
            entry.activity_id,
            entry.created_at.isoformat(),
            entry.kind,
            harmless(entry.paywall),
            money.plain(entry.amount),
            money.plain(entry.balance_after),
        )
    )
