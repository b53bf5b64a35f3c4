"""Paywalls and the keys that name them."""

import uuid
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.limits import RequestLimits
from paywalls.models.tenant import Tenant
from paywalls.models.topups import TopUpOffer

# The installation's own paywall, which sells nothing: its end users are the wallet users, their balances the wallets.
WALLETS = uuid.UUID("00000000-0000-7000-8000-000000000002")


class Paywall(RequestLimits, TopUpOffer, Row):
    """What an app points its OpenAI client at: models, prices, and the end users who pay for them.

    `config_version` moves with every change of the paywall, its keys, providers or models (a database trigger, so
    that no writer can forget it). The gateway compares it inside each hold's transaction. The limits are those of each
    end user who has none of their own; `spend_…` in nano-dollars.
    """

    class Mode(models.TextChoices):
        DEFAULT = "default", "Default: a balance per end user"
        SHARED = "shared", "Shared: one wallet of the end user for all shared paywalls"

    class Replies(models.TextChoices):
        MESSAGE = "message", "A message in the chat"
        ERROR = "error", "An HTTP error"

    public_kind = "paywall"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="paywalls")
    name = models.CharField(max_length=255)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.DEFAULT)
    description = models.TextField(
        max_length=2_000,
        blank=True,
        default="",
        db_default="",
        help_text="What users are told of it before they connect their wallet.",
    )
    icon_url = models.CharField(
        max_length=2_048,
        blank=True,
        default="",
        db_default="",
        help_text="An https address of a square picture, shown beside the name.",
    )
    trial_credit = models.BigIntegerField(
        default=0, help_text="What a new end user gets once, as a gift (nano-dollars)."
    )
    markup_percent = models.DecimalField(
        max_digits=9, decimal_places=4, default=Decimal(0), help_text="Added on top of every model's price."
    )
    replay_answers = models.BooleanField(
        default=False,
        help_text="Keep plain answers of requests with an Idempotency-Key for 24 hours (encrypted), to answer a retry.",
    )
    stripe_secret_key = models.TextField(
        blank=True, default="", editable=False, help_text="Encrypted. With it, top-ups are real payments."
    )
    spend_per_day = models.BigIntegerField(null=True, blank=True)
    spend_per_month = models.BigIntegerField(null=True, blank=True)
    user_headers = ArrayField(
        models.CharField(max_length=64),
        default=list,
        blank=True,
        help_text="Headers that name the end user, after X-Paywall-User.",
    )
    replies = models.CharField(
        max_length=16,
        choices=Replies,
        default=Replies.MESSAGE,
        help_text="How the paywall answers in the model's place, where the client doesn't say.",
    )
    authorization_template = models.TextField(blank=True, default="")
    funds_template = models.TextField(blank=True, default="")
    provider_error_template = models.TextField(blank=True, default="")
    response_url = models.CharField(
        max_length=2_048, blank=True, default="", help_text="Your endpoint that words the paywall's answers."
    )
    response_secret = models.TextField(
        blank=True, default="", editable=False, help_text="Encrypted. It signs what goes to `response_url`."
    )
    jwt_issuer = models.CharField(max_length=500, blank=True, default="")
    jwt_audience = models.CharField(max_length=500, blank=True, default="")
    jwks_url = models.CharField(max_length=2_048, blank=True, default="")
    allowed_origins = ArrayField(
        models.CharField(max_length=255),
        default=list,
        blank=True,
        help_text="The sites whose pages may call with a publishable key.",
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    archived_reason = models.TextField(blank=True, default="", editable=False)
    is_home = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Its end users are those that the tenant's reports of usage name.",
    )
    config_version = models.BigIntegerField(db_default=1, editable=False)

    class Meta:
        constraints = [
            *RequestLimits.Meta.constraints,
            *TopUpOffer.Meta.constraints,
            models.CheckConstraint(
                condition=(Q(spend_per_day=None) | Q(spend_per_day__gte=0))
                & (Q(spend_per_month=None) | Q(spend_per_month__gte=0)),
                name="paywall_spend_limits_not_negative",
            ),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_home=True), name="paywall_one_home_a_tenant"
            ),
            models.UniqueConstraint(fields=["tenant", "name"], name="paywall_name_unique_in_tenant"),
            models.CheckConstraint(condition=Q(trial_credit__gte=0), name="paywall_trial_not_negative"),
            models.CheckConstraint(
                condition=Q(markup_percent__gte=0, markup_percent__lte=10_000),
                name="paywall_markup_in_range",
            ),
            models.CheckConstraint(condition=Q(mode__in=["default", "shared"]), name="paywall_mode_known"),
            models.CheckConstraint(
                condition=Q(replies__in=["message", "error"]), name="paywall_replies_known"
            ),
            models.CheckConstraint(
                condition=Q(jwt_issuer="", jwt_audience="", jwks_url="")
                | ~(Q(jwt_issuer="") | Q(jwt_audience="") | Q(jwks_url="")),
                name="paywall_issuer_whole",
            ),
            models.CheckConstraint(
                condition=Q(response_url="") | ~Q(response_secret=""), name="paywall_response_signed"
            ),
            models.CheckConstraint(
                condition=Q(mode="default") | Q(trial_credit=0) | Q(id=WALLETS),
                name="paywall_trial_is_its_own_balance",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PaywallKey(Row):
    """Names a paywall. Only its SHA-256 is stored: 256 random bits need no slow hash.

    A secret key is the app's server's and may do everything. A publishable one may be seen by anybody: it does nothing
    without the end user's own token, and with it only what concerns that user. A rotated key works until `expires_at`.
    """

    class Kind(models.TextChoices):
        SECRET = "secret", "secret"
        PUBLISHABLE = "publishable", "publishable"

    # What the keys of each kind begin with.
    PREFIXES = {Kind.SECRET: "sk-paywalls-", Kind.PUBLISHABLE: "pk-paywalls-"}

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="keys")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.SECRET, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["secret", "publishable"]), name="paywall_key_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.PREFIXES[self.Kind(self.kind)]}…{self.last_four}"
