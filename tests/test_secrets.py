"""Secrets at rest: encrypted, never shown again, and re-encrypted when the key changes."""

import io
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from config import secrets
from paywalls import services
from paywalls.encryption import SECRETS, rotate_all
from paywalls.models import Paywall, Provider
from tests.factories import make_paywall, make_provider

pytestmark = pytest.mark.django_db

PLAIN = "sk-the-provider-key-in-the-clear"
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


def test_the_key_is_nowhere_in_its_database_row() -> None:
    make_provider(base_url="https://api.openai.com/v1", api_key=PLAIN)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(p)::text FROM paywalls_provider p")
        [(row,)] = cursor.fetchall()
    assert PLAIN not in row
    assert secrets.decrypt(Provider.objects.get().api_key) == PLAIN


def test_the_same_key_is_not_written_again() -> None:
    provider = make_provider(base_url="https://api.openai.com/v1", api_key=PLAIN)
    token = provider.api_key
    assert services.update_provider(provider, api_key=PLAIN) is False
    assert Provider.objects.get().api_key == token
    assert services.update_provider(provider, api_key="sk-other") is True
    assert secrets.decrypt(Provider.objects.get().api_key) == "sk-other"


def test_no_key_is_stored_as_nothing() -> None:
    assert make_provider(base_url="http://127.0.0.1:11434").api_key == ""


def test_every_column_of_secrets_is_rotated() -> None:
    """Whoever adds a column of secrets says "Encrypted" in its help text, and lists it."""
    columns = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if str(getattr(field, "help_text", "")).startswith("Encrypted")
    }
    assert columns == set(SECRETS)


def test_rotation_encrypts_everything_with_the_first_key(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    provider = make_provider(base_url="https://api.openai.com/v1", api_key=PLAIN)
    paywall = make_paywall()
    Paywall.objects.filter(pk=paywall.pk).update(stripe_secret_key=secrets.encrypt("rk_live"))
    make_provider(paywall)

    settings.ENCRYPTION_KEYS = [NEW, OLD]
    out = io.StringIO()
    call_command("rotate_encryption", stdout=out)
    assert out.getvalue() == "Re-encrypted 2 secrets with the first of ENCRYPTION_KEYS.\n"

    settings.ENCRYPTION_KEYS = [NEW]
    provider.refresh_from_db()
    paywall.refresh_from_db()
    assert secrets.decrypt(provider.api_key) == PLAIN
    assert secrets.decrypt(paywall.stripe_secret_key) == "rk_live"


def test_what_no_key_reads_is_named_and_left_as_it_is(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [LOST]
    lost = make_provider(name="lost", base_url="https://lost.example", api_key="sk-lost")
    settings.ENCRYPTION_KEYS = [OLD]
    make_provider(name="fine", base_url="https://fine.example", api_key=PLAIN)

    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match=rf"api_key of provider lost \({lost.pk}\)"):
        call_command("rotate_encryption", stdout=io.StringIO())

    settings.ENCRYPTION_KEYS = [NEW]
    assert secrets.decrypt(Provider.objects.get(name="fine").api_key) == PLAIN
    assert Provider.objects.get(name="lost").api_key == lost.api_key
    assert services.update_provider(lost, api_key="sk-entered-anew") is True


def test_a_key_that_changes_during_the_rotation_keeps_its_change(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    provider = make_provider(base_url="https://api.openai.com/v1", api_key=PLAIN)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    rotate = secrets.rotate

    def changed_meanwhile(token: str) -> str:
        Provider.objects.filter(pk=provider.pk).update(api_key=secrets.encrypt("sk-changed"))
        return rotate(token)

    monkeypatch.setattr(secrets, "rotate", changed_meanwhile)
    assert rotate_all().rotated == 0
    assert secrets.decrypt(Provider.objects.get().api_key) == "sk-changed"
