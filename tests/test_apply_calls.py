"""Paywalls as code: who calls, and the paywall's own words."""

from typing import Any

import pytest

from config import secrets
from paywalls.configuration import InvalidDocument, apply_document
from paywalls.models import Paywall

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + "A" * 32
CALLS: dict[str, Any] = {
    "user_headers": ["X-OpenWebUI-User-Id"],
    "replies": "error",
    "templates": {"insufficient_funds": "{{ name }}: {{ url }}", "provider_error": "Later."},
    "response_api": {"url": "https://app.acme.test/words", "secret": "${WORDS}"},
    "user_tokens": {
        "issuer": "https://id.acme.test",
        "audience": "acme",
        "jwks_url": "https://id.acme.test/jwks.json",
    },
    "allowed_origins": ["https://App.acme.test/"],
}


def apply(**settings: Any) -> Paywall:
    document = {
        "tenant": {"name": "Acme", "email": "ops@acme.test"},
        "paywalls": [{"name": "Acme Chat", **settings}],
    }
    apply_document(document, {"WORDS": SECRET})
    return Paywall.objects.get()


def test_every_setting_is_stored_and_again_changes_nothing() -> None:
    made = apply(**CALLS)
    assert (made.user_headers, made.replies) == (["X-OpenWebUI-User-Id"], "error")
    assert (made.funds_template, made.provider_error_template) == ("{{ name }}: {{ url }}", "Later.")
    assert made.authorization_template == ""
    assert (made.response_url, secrets.decrypt(made.response_secret)) == (
        "https://app.acme.test/words",
        SECRET,
    )
    assert (made.jwt_issuer, made.jwt_audience) == ("https://id.acme.test", "acme")
    assert made.jwks_url == "https://id.acme.test/jwks.json"
    assert made.allowed_origins == ["https://app.acme.test"]
    assert apply(**CALLS).config_version == made.config_version


def test_what_is_absent_becomes_the_default_but_for_the_secret() -> None:
    apply(**CALLS)
    changed = apply(response_api={"url": "https://app.acme.test/words"})
    assert secrets.decrypt(changed.response_secret) == SECRET
    assert (changed.user_headers, changed.replies, changed.funds_template) == ([], "message", "")
    assert (changed.jwt_issuer, changed.allowed_origins) == ("", [])
    assert apply().response_url == ""


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"templates": {"insufficient_funds": "Pay!"}}, "templates.insufficient_funds: must hold {{ url }}"),
        ({"templates": {"greeting": "Hi"}}, "templates: unknown key"),
        ({"user_tokens": {"issuer": "https://id.acme.test"}}, "user_tokens.audience: must be given, too"),
        ({"response_api": {"url": "https://app.acme.test/"}}, "response_api.secret: must be given"),
        ({"response_api": {"url": "ftp://x"}}, "response_api.url: must begin with https://"),
        ({"allowed_origins": "https://app.acme.test"}, "allowed_origins: must be a list"),
        ({"user_headers": ["Cookie"]}, "user_headers: can't hold Cookie"),
        ({"replies": "json"}, "replies: must be 'message' or 'error'"),
    ],
)
def test_a_fault_stands_at_its_key_whether_the_paywall_is_new_or_known(
    settings: dict[str, Any], fault: str
) -> None:
    for _ in range(2):
        with pytest.raises(InvalidDocument) as refused:
            apply(**settings)
        [told] = refused.value.faults
        assert told.startswith(f"paywalls[0].{fault}")
        apply()
