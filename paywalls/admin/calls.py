"""A paywall's form: who calls it, and its own words."""

from typing import Any

from django.forms import CharField

from config.admin.forms import LinesField, ListField, SecretField, SettingsForm
from paywalls import callsettings
from paywalls.wording import DEFAULTS, Case

# The stored secret is never a field's value.
RULES = {
    **{name: rule for name, rule in callsettings.RULES.items() if name != "response_secret"},
    "new_response_secret": callsettings.RULES["response_secret"],
}
MODEL_FIELDS = tuple(name for name in RULES if name != "new_response_secret")

# (field, what it is for, its default): what the preview shows.
TEMPLATES = (
    (
        "authorization_template",
        "Where they must connect their wallet first",
        DEFAULTS[Case.AUTHORIZATION_REQUIRED],
    ),
    ("funds_template", "Where the balance doesn't cover the request", DEFAULTS[Case.INSUFFICIENT_FUNDS]),
    ("provider_error_template", "Where the provider can't answer", DEFAULTS[Case.PROVIDER_ERROR]),
)


def _template(label: str, case: Case) -> CharField:
    shown = f"Empty: {DEFAULTS[case]}"
    return CharField(label=label, required=False, help_text=shown, widget=LinesField.widget)


class CallsForm(SettingsForm):
    user_headers = ListField(
        label="User headers",
        required=False,
        help_text="Further headers that name the end user, one a line, such as X-OpenWebUI-User-Id.",
    )
    allowed_origins = ListField(
        label="Allowed origins",
        required=False,
        help_text="The sites whose pages may call with a publishable key, one a line, such as https://app.example.com.",
    )
    authorization_template = _template("Authorization required", Case.AUTHORIZATION_REQUIRED)
    funds_template = _template("Insufficient funds", Case.INSUFFICIENT_FUNDS)
    provider_error_template = _template("Provider error", Case.PROVIDER_ERROR)
    new_response_secret = SecretField(
        label="Response secret",
        help_text="Signs what your endpoint gets. Stored encrypted and never shown again; empty keeps the stored one.",
    )

    shown_at = {"response_secret": "new_response_secret"}

    def settings(self) -> dict[str, Any]:
        """Without `response_secret` the stored one stays."""
        settings = super().settings()
        secret = settings.pop("new_response_secret", "")
        return {**settings, "response_secret": secret} if secret else settings


FIELDSETS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "Callers",
        {
            "fields": ("user_headers", "jwt_issuer", "jwt_audience", "jwks_url", "allowed_origins"),
            "description": "Who names the end user beside your servers: headers, or tokens of your identity provider.",
        },
    ),
    (
        "Own words",
        {
            "fields": (
                "replies",
                "authorization_template",
                "funds_template",
                "provider_error_template",
                "response_url",
                "new_response_secret",
            ),
            "description": "What the paywall says in the model's place. {{ url }} and {{ name }} are filled in.",
        },
    ),
)
LABELS = {
    "jwt_issuer": "Token issuer",
    "jwt_audience": "Token audience",
    "jwks_url": "Token keys (JWKS URL)",
    "response_url": "Response API URL",
}
