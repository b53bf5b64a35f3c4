"""What a paywall sells: models, their prices, and the providers that answer for them."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from paywalls.models.paywall import Paywall

# What a request without a limit may generate at the most; the hold covers it. Set it per model where more is sold.
DEFAULT_MAX_OUTPUT_TOKENS = 4_096

# The built-in provider, and what it answers to.
SANDBOX_URL = "sandbox://"
SANDBOX_MODELS = ("echo", "slow", "error", "breaks", "no-usage")


class Provider(Row):
    """Where requests go: an OpenAI-compatible base URL with the operator's own key, or the built-in sandbox."""

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="providers")
    name = models.CharField(max_length=64)
    base_url = models.CharField(max_length=500)
    api_key = models.TextField(blank=True, default="", editable=False, help_text="Encrypted.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["paywall", "name"], name="provider_name_unique_in_paywall"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_sandbox(self) -> bool:
        return self.base_url == SANDBOX_URL


class PaywallModel(Row):
    """A model as a paywall sells it. Prices are nano-dollars; token prices are per million tokens."""

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="models")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    model_id = models.CharField(max_length=128, help_text="The id that clients send.")
    upstream_model = models.CharField(max_length=128, help_text="The id that the provider knows.")
    display_name = models.CharField(max_length=128, blank=True, default="")
    description = models.TextField(max_length=2_000, blank=True, default="")
    prompt_price = models.BigIntegerField(help_text="Nano-dollars per million prompt tokens.")
    completion_price = models.BigIntegerField(help_text="Nano-dollars per million completion tokens.")
    request_price = models.BigIntegerField(default=0, help_text="Nano-dollars per request.")
    minimum_price = models.BigIntegerField(
        default=0, help_text="The least that a request costs, markup included (nano-dollars)."
    )
    max_output_tokens = models.PositiveIntegerField(
        default=DEFAULT_MAX_OUTPUT_TOKENS,
        help_text="The most that one answer may generate; a request's own limit is lowered to it.",
    )

    class Meta:
        verbose_name = "model"
        constraints = [
            models.UniqueConstraint(fields=["paywall", "model_id"], name="model_id_unique_in_paywall"),
            models.CheckConstraint(
                condition=Q(
                    prompt_price__gte=0, completion_price__gte=0, request_price__gte=0, minimum_price__gte=0
                ),
                name="model_prices_not_negative",
            ),
            models.CheckConstraint(condition=Q(max_output_tokens__gt=0), name="model_max_output_positive"),
            models.CheckConstraint(condition=~Q(model_id=""), name="model_id_not_empty"),
        ]
        ordering = [F("model_id").asc()]

    def __str__(self) -> str:
        return self.model_id
