"""Databases of one's own, beside the one that pytest-django makes."""

import os
import subprocess
import sys
from functools import cache
from typing import Any

import environ
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.environment import ROOT, clean


def url_of(name: str) -> str:
    """The DATABASE_URL of another database on the tests' server."""
    address, _, query = os.environ["DATABASE_URL"].partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def connect(url: str) -> psycopg.Connection[dict[str, Any]]:
    """A connection in autocommit, whose rows are dicts."""
    parts = environ.Env.db_url_config(url)
    return psycopg.connect(
        host=parts["HOST"] or None,
        port=parts["PORT"] or None,
        user=parts["USER"] or None,
        password=parts["PASSWORD"] or None,
        dbname=parts["NAME"],
        autocommit=True,
        row_factory=dict_row,
    )


def create(name: str, template: str = "template1") -> None:
    """Make a database as a copy of another one, which nobody may be using meanwhile."""
    _administer("CREATE DATABASE {} TEMPLATE {}", name, template)


def drop(name: str) -> None:
    """Remove a database and end the connections to it."""
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@cache
def migrated() -> str:
    """The name of a database with the whole schema, made once a session, to copy from."""
    name = f"tollgate_template_{os.getpid()}"
    drop(name)
    create(name)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**clean(), "DATA_DIR": os.environ["DATA_DIR"], "DATABASE_URL": url_of(name)},
        check=True,
    )
    return name


def drop_migrated() -> None:
    """Remove the template again, where one was made."""
    if migrated.cache_info().currsize:
        drop(migrated())


def _administer(statement: str, *names: str) -> None:
    with connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
