"""Lines of CSV, which spreadsheets open."""

import csv
import io
from collections.abc import Iterable
from typing import Any

# A spreadsheet runs a text that begins with one of these as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_line(values: Iterable[Any]) -> bytes:
    """One line of a CSV file."""
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode()
