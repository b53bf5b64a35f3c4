"""What providers charge where an operator knows better than the shipped catalogue."""

from django.db import models
from django.db.models import Q

from config.models import Row


class ProviderCost(Row):
    """The cost of a provider's model for all tenants, in nano-dollars; tokens per million. Goes before `genai-prices`.

    A cache price that is null is the price of the prompt. `provider` is as in the metering API, such as OPENAI.
    """

    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=128)
    prompt_cost = models.BigIntegerField(help_text="Nano-dollars per million prompt tokens.")
    completion_cost = models.BigIntegerField(help_text="Nano-dollars per million completion tokens.")
    cache_read_cost = models.BigIntegerField(null=True, blank=True)
    cache_write_cost = models.BigIntegerField(null=True, blank=True)
    request_cost = models.BigIntegerField(default=0, help_text="Nano-dollars per event.")
    image_cost = models.BigIntegerField(default=0, help_text="Nano-dollars per image.")
    unit_cost = models.BigIntegerField(
        default=0, help_text="Nano-dollars per unit of an event's quantity, such as a second."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "model"], name="provider_cost_unique"),
            models.CheckConstraint(
                condition=Q(
                    prompt_cost__gte=0,
                    completion_cost__gte=0,
                    request_cost__gte=0,
                    image_cost__gte=0,
                    unit_cost__gte=0,
                )
                & (Q(cache_read_cost=None) | Q(cache_read_cost__gte=0))
                & (Q(cache_write_cost=None) | Q(cache_write_cost__gte=0)),
                name="provider_cost_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(model="") & ~Q(provider=""), name="provider_cost_is_of_a_model"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"
