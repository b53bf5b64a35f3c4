"""What a document says of a paywall's callers and of its own words."""

from typing import Any

from paywalls import callsettings
from paywalls.configuration.sections import Section
from paywalls.models import Paywall

KEYS = {"user_headers", "replies", "templates", "response_api", "user_tokens", "allowed_origins"}

_RULES = callsettings.RULES
_SECTIONS = {
    "templates": {
        "authorization_required": "authorization_template",
        "insufficient_funds": "funds_template",
        "provider_error": "provider_error_template",
    },
    "user_tokens": {"issuer": "jwt_issuer", "audience": "jwt_audience", "jwks_url": "jwks_url"},
    "response_api": {"url": "response_url", "secret": "response_secret"},
}

# Where the document says what a service knows by another name.
CALL_KEYS = {
    setting: f"{section}.{key}" for section, keys in _SECTIONS.items() for key, setting in keys.items()
}


def call_settings(at: Section) -> dict[str, Any]:
    """The settings in a paywall's mapping. Without a secret the stored one stays."""
    settings: dict[str, Any] = {
        "user_headers": at.listed("user_headers", _RULES["user_headers"]),
        "allowed_origins": at.listed("allowed_origins", _RULES["allowed_origins"]),
        "replies": at.text("replies", _RULES["replies"], default=Paywall.Replies.MESSAGE.value),
    }
    for name, keys in _SECTIONS.items():
        section = at.optional_child(name, keys=set(keys))
        for key, setting in keys.items():
            if setting != "response_secret":
                settings[setting] = section.text(key, _RULES[setting], default="")
            elif section.has(key):
                settings[setting] = section.text(key, _RULES[setting])
    return settings
