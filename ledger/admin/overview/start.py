"""The first steps of a new installation; each ticks itself off."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from config import secrets
from ledger.admin import scope
from ledger.models import UsageHour, UsageIncrement
from paywalls import keys
from paywalls.models import PaywallModel, Provider
from paywalls.models.catalogue import SANDBOX_URL


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do, where, and whether it is done."""

    title: str
    text: str
    action: str
    address: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Start:
    """The steps, and a request to paste."""

    steps: list[Step]
    snippet: str
    has_key: bool

    @property
    def done(self) -> int:
        """How many steps are done."""
        return sum(step.is_done for step in self.steps)


def steps(request: HttpRequest) -> Start | None:
    """What is still to do; None where all of it is done, or where the operator may not do it."""
    if not all(request.user.has_perm(f"paywalls.add_{model}") for model in ("provider", "paywallmodel")):
        return None
    tenants = scope.tenants(request)
    real = ~Q(base_url=SANDBOX_URL)
    providers = scope.rows(request, Provider).filter(real).exists()
    priced = (
        scope.rows(request, PaywallModel).exclude(provider__base_url=SANDBOX_URL)
        .filter(Q(prompt_price__gt=0) | Q(completion_price__gt=0) | Q(request_price__gt=0)).exists()
    )  # fmt: skip
    answered = any(
        model._default_manager.filter(tenant_id__in=tenants, events__gt=0).exists()
        for model in (UsageHour, UsageIncrement)
    )
    if providers and priced and answered:
        return None
    snippet, has_key = _snippet(request)
    # The first paywall is set up with its provider and prices; each of these alone would have nowhere to go.
    first = None
    if not scope.paywalls(request):
        first = ("Set up a paywall", reverse("admin:paywalls_paywall_set_up"))
    listed: list[Any] = [
        Step(
            "Connect a provider",
            "OpenAI, Anthropic, or anything that speaks their API: its address and your key. Until then the"
            " sandbox answers.",
            *(first or ("Add a provider", reverse("admin:paywalls_provider_add"))),
            providers,
        ),
        Step(
            "Set a price",
            "What end users pay for a model of that provider, per million tokens or per request.",
            *(first or ("Add a model", reverse("admin:paywalls_paywallmodel_add"))),
            priced,
        ),
        Step(
            "Make the first request",
            "Point any OpenAI client at this installation.",
            "See requests",
            reverse("admin:ledger_proxyrequest_changelist"),
            answered,
        ),
    ]
    return Start(listed, snippet, has_key)


def _snippet(request: HttpRequest) -> tuple[str, bool]:
    """A `curl` that works as it is where the demo's key is known to whoever may see all; else with its place."""
    key = secrets.kept(settings.DATA_DIR, "demo_key", make=False) if request.user.is_superuser else None
    demo = key if key and keys.find(key) else None
    model = scope.rows(request, PaywallModel).order_by("pk").values_list("model_id", flat=True).first()
    lines = [
        f"curl {settings.PUBLIC_URL}/v1/chat/completions \\",
        f'  -H "Authorization: Bearer {demo or "YOUR_PAYWALL_KEY"}" \\',
        '  -H "Content-Type: application/json" \\',
        f'  -d \'{{"model": "{("sandbox/echo" if demo else model) or "YOUR_MODEL"}", "user": "alice",'
        ' "messages": [{"role": "user", "content": "Hello"}]}\'',
    ]
    return "\n".join(lines), demo is not None
