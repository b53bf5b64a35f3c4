"""The forms of a new paywall's steps."""

from django import forms
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from config.admin.forms import DollarField, PercentField, SecretField
from paywalls.models import Paywall, Tenant
from paywalls.models.catalogue import SANDBOX_URL

# The addresses of providers that speak OpenAI's API, as the form offers them.
PROVIDERS = {
    "openai": ("OpenAI", "https://api.openai.com/v1"),
    "anthropic": ("Anthropic", "https://api.anthropic.com/v1"),
    "google": ("Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "mistral": ("Mistral", "https://api.mistral.ai/v1"),
    "groq": ("Groq", "https://api.groq.com/openai/v1"),
    "deepseek": ("DeepSeek", "https://api.deepseek.com/v1"),
    "together": ("Together AI", "https://api.together.xyz/v1"),
    "openrouter": ("OpenRouter", "https://openrouter.ai/api/v1"),
    "sandbox": ("Sandbox: built in, answers without a key", SANDBOX_URL),
    "other": ("Another address", ""),
}


class BasicsForm(forms.Form):
    """What a paywall is."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), widget=UnfoldAdminSelectWidget)
    name = forms.CharField(
        max_length=255, widget=UnfoldAdminTextInputWidget, help_text="End users read it where they pay."
    )
    mode = forms.ChoiceField(
        choices=Paywall.Mode.choices,
        initial=Paywall.Mode.DEFAULT,
        widget=UnfoldAdminRadioSelectWidget,
        help_text="This can't change later.",
    )
    markup_percent = PercentField(
        label="Markup", initial=20, help_text="Added to every model's price; the next steps suggest the cost."
    )
    trial_credit = DollarField(
        label="Trial credit",
        initial=0,
        help_text="What a new end user gets once, as a gift. Zero in shared mode.",
    )


class FirstForm(BasicsForm):
    """What the first paywall of an installation is, and whose."""

    tenant = None  # type: ignore[assignment]  # (how Django drops a field of the base)
    business = forms.CharField(
        label="Your business",
        max_length=255,
        widget=UnfoldAdminTextInputWidget,
        help_text="Whose paywalls they are.",
    )
    email = forms.EmailField(
        label="Its e-mail address",
        widget=UnfoldAdminTextInputWidget,
        help_text="For what concerns the account.",
    )
    field_order = ("business", "email")


class ProviderForm(forms.Form):
    """Who answers for the models."""

    kind = forms.ChoiceField(
        label="Provider",
        choices=[(key, name) for key, (name, _) in PROVIDERS.items()],
        widget=UnfoldAdminSelectWidget,
    )
    base_url = forms.CharField(
        required=False,
        label="Base URL",
        widget=UnfoldAdminTextInputWidget,
        help_text='For "Another address" only: an API that speaks OpenAI\'s, such as http://10.0.0.5:8000/v1.',
    )
    api_key = SecretField(label="API key", help_text="Stored encrypted and never shown again.")


class StripeForm(forms.Form):
    """How end users pay."""

    secret_key = SecretField(
        label="Stripe's restricted key",
        help_text="Starts with rk_live_ or rk_test_. Leave it empty to decide later.",
    )
