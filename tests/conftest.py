"""What every test may use. The environment itself is prepared by `tests.settings`, before Django reads it."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations

from tests import databases
from tests.installation import Installation


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Every run has a seed of its own for Hypothesis, known before anything fails."""
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start real servers go first: the longest of them, begun last, would have a processor to itself."""
    slow = {item.path for item in items if item.get_closest_marker("server")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis seed: repeat this run with --hypothesis-seed={config.getoption('--hypothesis-seed')}"


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_triggers() -> Iterator[None]:
    """Between transactional tests Django empties the tables, which the ledger's triggers refuse to anyone.

    A replica's session fires no triggers; `SET LOCAL` ends with the flush's own transaction. Most tables are
    empty, and truncating one costs new files for it and its indexes: only rows that are there are deleted. What
    Django itself writes after a migration stays, so that it need not be written again.
    """
    kept = {"django_content_type", "auth_permission"}

    def deletes(self: DatabaseOperations, style: object, tables: list[str], **_: object) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                " UNION ALL ".join(
                    f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")"
                    for table in tables
                    if table not in kept
                )
            )
            filled = [table for (table,) in cursor.fetchall()]
        return [
            "SET LOCAL session_replication_role = 'replica'",
            *(f'DELETE FROM "{table}"' for table in filled),
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", deletes)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _template_is_dropped() -> Iterator[None]:
    yield
    databases.drop_migrated()


class MakeInstallation:
    """The fixture `installation`: call it as `Installation`; what it makes is stopped at the test's end."""

    def __init__(self) -> None:
        self._made: list[Installation] = []

    def __call__(self, *args: Any, **options: Any) -> Installation:
        made = Installation(*args, **options)
        self._made.append(made)
        made.start()
        return made

    def stop(self) -> None:
        for made in self._made:
            made.stop()


@pytest.fixture
def installation() -> Iterator[MakeInstallation]:
    """Real server processes on a database of their own: `site = installation(DOCUMENT, servers=2)`."""
    make = MakeInstallation()
    yield make
    make.stop()
