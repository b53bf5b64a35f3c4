"""A dangerous setup is refused with a message that says what to change."""

import re
import subprocess
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks
from django.db import connections

from config.checks import TAG, check_server
from tests.environment import ROOT, VARIABLES, clean


@pytest.fixture
def production(settings: Any) -> Any:
    """The settings of a sound production installation, for a test to spoil one of them."""
    settings.PRODUCTION = True
    settings.DEBUG = False
    settings.EMBEDDED = False
    settings.DATABASE_URL = "postgres://tollgate@db/tollgate"
    settings.SANDBOX_CHECKOUT = False
    settings.PUBLIC_URL = "https://paywall.example.com"
    settings.ALLOWED_HOSTS = ["paywall.example.com"]
    settings.SECRET_KEY = "named"
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.WEB_PROCESSES = 2
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    return settings


def found() -> list[str]:
    return [str(message.id) for message in checks.run_checks(tags=[TAG])]


def test_a_sound_production_installation_passes(production: Any) -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("id", "spoiled"),
    [
        ("tollgate.E001", {"DEBUG": True}),
        ("tollgate.E002", {"SECRET_KEY": ""}),
        ("tollgate.E003", {"ENCRYPTION_KEYS": []}),
        ("tollgate.E004", {"ENCRYPTION_KEYS": [Fernet.generate_key().decode(), "not-a-fernet-key"]}),
        ("tollgate.E005", {"REDIS_URL": ""}),
        ("tollgate.E006", {"SANDBOX_CHECKOUT": True}),
        ("tollgate.E007", {"ALLOWED_HOSTS": ["paywall.example.com", "*"]}),
        ("tollgate.E008", {"UPSTREAM_TOTAL_SECONDS": 660.0, "HOLD_SECONDS": 660.0}),
        ("tollgate.E009", {"PUBLIC_URL": "paywall.example.com"}),
        ("tollgate.E010", {"DATABASE_URL": "mysql://root@127.0.0.1/tollgate"}),
        ("tollgate.E010", {"DATABASE_URL": "postgres://127.0.0.1:5432"}),
        ("tollgate.E011", {"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.1/8"]}),
        ("tollgate.E015", {"WEBHOOK_RETENTION_DAYS": -1.0}),
        ("tollgate.W001", {"EMBEDDED": True}),
    ],
)
def test_one_spoiled_setting_is_named(production: Any, id: str, spoiled: dict[str, Any]) -> None:
    for name, value in spoiled.items():
        setattr(production, name, value)
    [message] = checks.run_checks(tags=[TAG])
    assert message.id == id
    assert message.hint, "says what to change"
    assert any(name in f"{message.msg} {message.hint}" for name in (*spoiled, "DATABASE_URL"))
    assert message.is_serious() == (id[-4] == "E")


@pytest.mark.parametrize(
    "open_setting", [{"DEBUG": True}, {"REDIS_URL": ""}, {"SANDBOX_CHECKOUT": True}, {"EMBEDDED": True}]
)
def test_outside_production_a_developer_may(production: Any, open_setting: dict[str, Any]) -> None:
    production.PRODUCTION = False
    for name, value in open_setting.items():
        setattr(production, name, value)
    assert found() == []


def test_one_process_may_count_limits_for_itself(production: Any) -> None:
    production.WEB_PROCESSES, production.REDIS_URL = 1, ""
    assert found() == []


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = clean() | variables
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_production_without_secrets_is_told_so_by_the_command_line(tmp_path: Any) -> None:
    done = manage("check", DATA_DIR=str(tmp_path), PUBLIC_URL="https://paywall.example.com")
    assert done.returncode == 1
    assert "tollgate.E002" in done.stderr
    assert "tollgate.E003" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "secrets").exists(), "production makes no secrets up"


def test_secrets_are_made_once_outside_production(tmp_path: Any) -> None:
    for _ in range(2):
        assert manage("check", DATA_DIR=str(tmp_path)).returncode == 0
        kept = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert set(kept) == {"secret_key", "encryption_keys"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())
    assert kept == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


def test_a_value_that_cannot_be_read_names_its_variable(tmp_path: Any) -> None:
    done = manage("check", DATA_DIR=str(tmp_path), WEB_PROCESSES="two")
    assert done.returncode == 1
    assert "WEB_PROCESSES: " in done.stderr
    assert "Traceback" not in done.stderr


def test_every_variable_is_documented() -> None:
    source = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'\benv(?:\.\w+)?\(\s*"([A-Z0-9_]+)"', source))
    assert read, "the pattern still finds them"
    assert read == set(VARIABLES)


@pytest.mark.django_db
@pytest.mark.parametrize(("version", "ids"), [(140_011, ["tollgate.E016"]), (150_000, [])])
def test_a_server_that_is_too_old_is_named(
    version: int, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections["default"], "pg_version", version)
    found = check_server(databases=["default"])
    assert [message.id for message in found] == ids
    assert check_server() == [], "no database was asked for"
