"""Array literals and rows: whatever a batch holds arrives in PostgreSQL as it was."""

import uuid
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from config.sql import array, of_rows
from ledger.models import Transfer

pytestmark = pytest.mark.django_db


def there_and_back(values, kind):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [array(values)])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", [uuid.uuid4(), None, uuid.uuid4()]),
        ("bigint", [0, -1, None, 2**63 - 1]),
        ("boolean", [True, None, False]),
        ("timestamptz", [datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), None]),
        ("date", [date(2026, 2, 28), None]),
        ("text", ["", "NULL", "null", '"', "\\", "{}", "a,b", " ", "\n", "ü😀", None, "'; DROP TABLE x; --"]),
        ("text", []),
        # Of one type throughout.
        ("uuid", [uuid.UUID(int=0), uuid.uuid4()]),
        ("bigint", [0, -1, 2**63 - 1]),
        ("text", ["", "a", "ü"]),
        ("text", ['"', "a,b", "\\", '","']),
        ("text", [None, None]),
        (
            "timestamptz",
            [datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)],
        ),
        ("boolean", [True, False]),
        ("numeric", [2**64, -(2**70)]),
    ],
)
def test_what_goes_in_comes_out(kind, values):
    assert there_and_back(values, kind) == values


@given(
    values=st.lists(
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")) | st.none()
    )
)
def test_any_text_comes_out(values):
    assert there_and_back(values, "text") == values


def test_a_choice_is_its_value():
    assert there_and_back([Transfer.Kind.USAGE], "text") == ["usage"]


def test_rows_arrive_as_they_were():
    rows = [
        (
            uuid.uuid4(),
            2**63 - 1,
            'a "b" \\ {,}\nü😀',
            True,
            datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
        (uuid.uuid4(), -1, None, None, None),
    ]
    statement = of_rows(
        "SELECT * FROM new(id uuid, amount bigint, said text, is_so boolean, at timestamptz)", rows
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)
        assert cursor.fetchall() == rows


def test_a_jsonb_column_takes_any_json():
    rows = [({"a": [1, '"\n']},), ([],), (None,)]
    statement = of_rows("SELECT what::text FROM new(what jsonb)", rows)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)
        assert cursor.fetchall() == [('{"a": [1, "\\"\\n"]}',), ("[]",), (None,)]


def test_a_row_has_a_value_for_each_column():
    with pytest.raises(ValueError, match="zip"):
        of_rows("SELECT * FROM new(one integer, two integer)", [(1,)])
