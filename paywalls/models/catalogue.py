"""What a paywall sells: models, their prices, and the providers that answer for them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q

from config.models import Row
from paywalls.models.limits import RateLimits
from paywalls.models.paywall import Paywall
from paywalls.pricing import Price, Tier
from paywalls.surfaces import SURFACES, spoken_at

# What a request without a limit may generate at the most; the hold covers it. Set it per model where more is sold.
DEFAULT_MAX_OUTPUT_TOKENS = 4_096

# The built-in provider, and what it answers to.
SANDBOX_URL = "sandbox://"
SANDBOX_MODELS = ("echo", "slow", "error", "breaks", "no-usage")


# The most that a provider's time-out may be.
MAX_SECONDS = 86_400


def _seconds(*names: str) -> Q:
    """Time-outs that are null, or above zero and no longer than a day (which NaN and infinity are not)."""
    condition = Q()
    for name in names:
        field = f"{name}_seconds"
        condition &= Q(**{field: None}) | Q(**{f"{field}__gt": 0, f"{field}__lte": MAX_SECONDS})
    return condition


class Provider(Row):
    """Where requests go: an OpenAI-compatible base URL with the operator's own key, or the built-in sandbox."""

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="providers")
    name = models.CharField(max_length=64)
    base_url = models.CharField(max_length=500)
    api_key = models.TextField(blank=True, default="", editable=False, help_text="Encrypted.")
    surfaces = ArrayField(
        models.CharField(max_length=16, choices=[(name, name) for name in SURFACES]),
        blank=True,
        default=list,
        help_text="The APIs it speaks; empty for what its address suggests.",
    )
    installation_pays = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The installation's own account: in shared mode its cost is kept back from what the paywall earns.",
    )
    connect_seconds = models.FloatField(null=True, blank=True, help_text="To connect; empty: as installed.")
    first_byte_seconds = models.FloatField(
        null=True, blank=True, help_text="From the request to the answer's first byte; empty: as installed."
    )
    idle_seconds = models.FloatField(
        null=True, blank=True, help_text="Between two pieces of an answer; empty: as installed."
    )
    total_seconds = models.FloatField(
        null=True, blank=True, help_text="For a whole answer; empty, or more than installed: as installed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["paywall", "name"], name="provider_name_unique_in_paywall"),
            models.CheckConstraint(
                condition=_seconds("connect", "first_byte", "idle", "total"), name="provider_seconds_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def speaks(self) -> tuple[str, ...]:
        """The names of the APIs that it answers."""
        return tuple(self.surfaces) or spoken_at(self.base_url)

    @property
    def is_sandbox(self) -> bool:
        return self.base_url == SANDBOX_URL


class TiersSound(Func):
    """Whether a list of tiers is one that `pricing` takes; the function comes with the migrations."""

    function = "paywalls_tiers_sound"
    output_field = models.BooleanField()


_NOT_NEGATIVE = Q(
    prompt_price__gte=0,
    completion_price__gte=0,
    request_price__gte=0,
    minimum_price__gte=0,
    image_price__gte=0,
)
_CACHE_NOT_NEGATIVE = (Q(cache_read_price=None) | Q(cache_read_price__gte=0)) & (
    Q(cache_write_price=None) | Q(cache_write_price__gte=0)
)
_ZERO = Q(prompt_price=0, completion_price=0, request_price=0, minimum_price=0, image_price=0)
# A check that comes out as NULL passes, so that what must be there is asked for by itself.
_COST_KNOWN = (
    Q(prompt_cost__isnull=False, completion_cost__isnull=False)
    & Q(prompt_cost__gte=0, completion_cost__gte=0)
    & ~Q(cost_source="")
)
_COST_UNKNOWN = Q(prompt_cost=None, completion_cost=None, cost_source="")
_COST_NOT_NEGATIVE = (
    Q(request_cost__gte=0, minimum_cost__gte=0, image_cost__gte=0)
    & (Q(cache_read_cost=None) | Q(cache_read_cost__gte=0))
    & (Q(cache_write_cost=None) | Q(cache_write_cost__gte=0))
)


class PaywallModel(RateLimits, Row):
    """A model as a paywall sells it. Money is in nano-dollars; token prices are per million tokens.

    `…_price` is what end users pay before the markup, `…_cost` what the provider charges the operator. A cache price
    that is null is the price of the prompt. `tiers` and `cost_tiers` are lists of `{"above": tokens, "prompt",
    "completion", "cache_read"?, "cache_write"?}`. The rates and `spend_…` limit each end user on this model.
    """

    class CostSource(models.TextChoices):
        """Who says what the provider charges."""

        UNKNOWN = "", "unknown"
        OPERATOR = "operator", "operator"
        GENAI_PRICES = "genai-prices", "genai-prices"

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="models")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    model_id = models.CharField(max_length=128, help_text="The id that clients send.")
    upstream_model = models.CharField(max_length=128, help_text="The id that the provider knows.")
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Where there are further routes: lower ones are tried first."
    )
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="The share of the requests among routes of the same priority."
    )
    display_name = models.CharField(max_length=128, blank=True, default="")
    description = models.TextField(max_length=2_000, blank=True, default="")
    prompt_price = models.BigIntegerField(help_text="Nano-dollars per million prompt tokens.")
    completion_price = models.BigIntegerField(help_text="Nano-dollars per million completion tokens.")
    cache_read_price = models.BigIntegerField(null=True, blank=True)
    cache_write_price = models.BigIntegerField(null=True, blank=True)
    request_price = models.BigIntegerField(default=0, help_text="Nano-dollars per request.")
    minimum_price = models.BigIntegerField(
        default=0, help_text="The least that a request costs, markup included (nano-dollars)."
    )
    image_price = models.BigIntegerField(default=0, help_text="Nano-dollars per image in the prompt.")
    tiers = models.JSONField(default=list, blank=True)
    free = models.BooleanField(default=False, help_text="Confirms that a price of zero is meant.")
    prompt_cost = models.BigIntegerField(null=True, blank=True)
    completion_cost = models.BigIntegerField(null=True, blank=True)
    cache_read_cost = models.BigIntegerField(null=True, blank=True)
    cache_write_cost = models.BigIntegerField(null=True, blank=True)
    request_cost = models.BigIntegerField(default=0)
    minimum_cost = models.BigIntegerField(default=0)
    image_cost = models.BigIntegerField(default=0)
    cost_tiers = models.JSONField(default=list, blank=True)
    cost_source = models.CharField(
        max_length=16, choices=CostSource.choices, default=CostSource.UNKNOWN, blank=True, editable=False
    )
    max_output_tokens = models.PositiveIntegerField(
        default=DEFAULT_MAX_OUTPUT_TOKENS,
        help_text="The most that one answer may generate; a request's own limit is lowered to it.",
    )

    spend_per_day = models.BigIntegerField(null=True, blank=True)
    spend_per_month = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "model"
        constraints = [
            *RateLimits.Meta.constraints,
            models.UniqueConstraint(fields=["paywall", "model_id"], name="model_id_unique_in_paywall"),
            models.CheckConstraint(
                condition=_NOT_NEGATIVE & _CACHE_NOT_NEGATIVE, name="model_prices_not_negative"
            ),
            models.CheckConstraint(
                condition=(Q(free=True, tiers=[]) & _ZERO) | (Q(free=False) & ~_ZERO),
                name="model_is_free_where_its_price_is_zero",
            ),
            models.CheckConstraint(
                condition=_COST_NOT_NEGATIVE & (_COST_KNOWN | _COST_UNKNOWN), name="model_cost_known_or_not"
            ),
            models.CheckConstraint(condition=TiersSound("tiers"), name="model_tiers_sound"),
            models.CheckConstraint(condition=TiersSound("cost_tiers"), name="model_cost_tiers_sound"),
            models.CheckConstraint(condition=Q(max_output_tokens__gt=0), name="model_max_output_positive"),
            models.CheckConstraint(
                condition=(Q(spend_per_day=None) | Q(spend_per_day__gte=0))
                & (Q(spend_per_month=None) | Q(spend_per_month__gte=0)),
                name="model_spend_limits_not_negative",
            ),
            models.CheckConstraint(condition=~Q(model_id=""), name="model_id_not_empty"),
            models.CheckConstraint(
                condition=Q(weight__gte=1, weight__lte=1_000, priority__lte=1_000),
                name="model_order_in_range",
            ),
        ]
        ordering = [F("model_id").asc()]

    def __str__(self) -> str:
        return self.model_id

    def price(self, markup: int) -> Price:
        """What end users pay; `markup` in millionths (20 % is 200,000)."""
        return Price(
            prompt=self.prompt_price,
            completion=self.completion_price,
            cache_read=self.cache_read_price,
            cache_write=self.cache_write_price,
            request=self.request_price,
            minimum=self.minimum_price,
            image=self.image_price,
            markup=markup,
            tiers=tuple(Tier(**tier) for tier in self.tiers),
        )

    def cost(self) -> Price | None:
        """What the provider charges, None where nobody said."""
        if self.prompt_cost is None or self.completion_cost is None:
            return None
        return Price(
            prompt=self.prompt_cost,
            completion=self.completion_cost,
            cache_read=self.cache_read_cost,
            cache_write=self.cache_write_cost,
            request=self.request_cost,
            minimum=self.minimum_cost,
            image=self.image_cost,
            tiers=tuple(Tier(**tier) for tier in self.cost_tiers),
        )
