"""The limits on the pages of paywalls, models and end users."""

from config.admin.forms import DollarField, ListField, SettingsForm
from paywalls.models.limits import RATES, REQUEST_LIMITS, SPEND

LABELS = {
    "requests_per_minute": "Requests per minute",
    "tokens_per_minute": "Tokens per minute",
    "concurrent_requests": "Requests at a time",
    "max_output_tokens": "Tokens of one answer",
}

OF_EACH_USER = (
    "Limits of each end user",
    {
        "fields": (*REQUEST_LIMITS, *SPEND),
        "description": "Each end user may do so much, unless they have a limit of their own. Empty is no limit.",
    },
)
ON_THIS_MODEL = (
    "Limits of each end user on this model",
    {
        "fields": (*RATES, *SPEND),
        "description": "Beside the user's limits of the paywall. Empty is no limit.",
    },
)
OF_THIS_USER = (
    "Limits",
    {
        "fields": (*REQUEST_LIMITS, *SPEND),
        "description": "What is filled in replaces the limit of the paywall; what is empty leaves it.",
    },
)


class SpendLimitsForm(SettingsForm):
    """What may be spent."""

    spend_per_day = DollarField(required=False, label="Spend per day", help_text="In UTC.")
    spend_per_month = DollarField(required=False, label="Spend per month", help_text="In UTC.")


class RequestLimitsForm(SpendLimitsForm):
    """The limits of an end user, of their own or by default."""

    allowed_models = ListField(
        required=False,
        label="Models",
        help_text='Ids, one a line; "openai/*" is all that begin with "openai/". Empty is no limit.',
    )
