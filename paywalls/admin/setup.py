"""A new paywall, step by step: what it is, a provider, models with prices, payments, a key.

Each step writes what it asks for, through the services, so that one who stops half way finds it on the paywall's page
and goes on there.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from config import money
from config.admin.columns import page_of
from config.errors import ApiError
from ledger.payments import accounts, integration, upkeep
from paywalls import costs, services
from paywalls.admin.setupforms import PROVIDERS, BasicsForm, FirstForm, ProviderForm, StripeForm
from paywalls.models import Paywall, PaywallModel, Provider, Tenant
from paywalls.models.catalogue import SANDBOX_MODELS

STEPS = {"basics": "Basics", "provider": "Provider", "models": "Models", "payments": "Payments", "key": "Key"}

# Models of the catalogue on one page, and empty lines for others.
LISTED = 60
EMPTY = 3
# What the sandbox's models are offered at, which cost nothing.
_SANDBOX_PRICE = {"prompt_cost": 1 * money.NANO, "completion_cost": 2 * money.NANO}


def begin(page: ModelAdmin, request: HttpRequest, tenants: QuerySet[Tenant]) -> HttpResponse:
    """The first step, which makes the paywall for one of the tenants."""
    first = tenants.order_by("name").first()
    form: forms.Form
    # Only superusers make tenants; everybody else works for one.
    if first is None and request.user.is_superuser:
        form = FirstForm(request.POST or None)
    else:
        form = BasicsForm(request.POST or None, initial={"tenant": first})
        tenant: Any = form.fields["tenant"]
        tenant.queryset = tenants.order_by("name")
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        try:
            with transaction.atomic():
                owner = given.pop("tenant", None) or services.create_tenant(
                    name=given.pop("business"), email=given.pop("email")
                )
                made = services.create_paywall(owner, **given)
                page.log_addition(request, made, "Made step by step.")
        except ApiError as refusal:
            _tell(form, refusal)
        else:
            return _next(made, "provider")
    back = reverse("admin:paywalls_paywall_changelist")
    return _page(page, request, "basics", form, back=back, button="Next")


def go_on(page: ModelAdmin, request: HttpRequest, paywall: Paywall) -> HttpResponse:
    """A later step of a paywall."""
    step = request.GET.get("step", "")
    match step if step in STEPS else _missing(paywall):
        case "models":
            return _models(page, request, paywall)
        case "payments":
            return _payments(page, request, paywall)
        case "key":
            return redirect(reverse("admin:paywalls_paywall_issue_key", args=[paywall.pk]))
    return _provider(page, request, paywall)


def _missing(paywall: Paywall) -> str:
    if not paywall.providers.exists():
        return "provider"
    return "payments" if paywall.models.exists() else "models"


def _provider(page: ModelAdmin, request: HttpRequest, paywall: Paywall) -> HttpResponse:
    form = ProviderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        kind, given = form.cleaned_data["kind"], form.cleaned_data
        address = PROVIDERS[kind][1] or given["base_url"]
        name = _free_name(paywall, "provider" if kind == "other" else kind)
        try:
            with transaction.atomic():
                made = services.create_provider(
                    paywall, name=name, base_url=address, api_key=given["api_key"]
                )
                page.log_change(request, paywall, f"Added the provider {made}.")
        except ApiError as refusal:
            _tell(form, refusal)
        else:
            return _next(paywall, "models")
    return _page(page, request, "provider", form, paywall=paywall, skip="models", button="Next")


def _free_name(paywall: Paywall, name: str) -> str:
    taken = set(paywall.providers.values_list("name", flat=True))
    return next(free for free in (name, *(f"{name}-{n}" for n in range(2, 1_000))) if free not in taken)


@dataclass
class Offer:
    """A line of the list of models: what is suggested, or was typed."""

    number: int
    model: str = ""
    prompt: str = ""
    completion: str = ""
    cost: str = ""
    chosen: bool = False
    fault: str = ""
    settings: dict[str, Any] | None = None


def _models(page: ModelAdmin, request: HttpRequest, paywall: Paywall) -> HttpResponse:
    providers = paywall.providers.order_by("-pk")
    provider = providers.filter(name=request.GET.get("provider", "")).first() or providers.first()
    if provider is None:
        return _next(paywall, "provider")
    words = request.GET.get("q", "").strip()
    known = _known(provider)
    sold = set(paywall.models.values_list("model_id", flat=True))
    fitting = [model for model in known if words.lower() in model.lower() and model not in sold]
    offers = [_offer(number, model, known[model]) for number, model in enumerate(fitting[:LISTED])]
    offers += [Offer(len(offers) + number) for number in range(EMPTY)]
    if request.method == "POST":
        made = _sell(page, request, provider, _typed(request, known))
        if made is None:
            offers = _typed(request, known)
            _sell(page, request, provider, offers)
        elif "more" in request.POST:
            page.message_user(request, f"{made} added.", messages.SUCCESS)
            return redirect(request.get_full_path())
        else:
            return _next(paywall, "payments")
    context = {
        "offers": offers,
        "found": len(fitting),
        "known": len(known),
        "listed": min(len(fitting), LISTED),
        "q": words,
        "provider": provider,
        "sold": sorted(sold),
    }
    return _page(page, request, "models", None, paywall=paywall, skip="payments", button="Next", **context)


def _known(provider: Provider) -> dict[str, dict[str, Any]]:
    if provider.is_sandbox:
        return dict.fromkeys(SANDBOX_MODELS, _SANDBOX_PRICE)
    return dict(sorted(costs.models_at(provider.base_url).items()))


def _offer(number: int, model: str, known: dict[str, Any]) -> Offer:
    prompt, completion = (money.plain(known[name]) for name in ("prompt_cost", "completion_cost"))
    cost = "" if known is _SANDBOX_PRICE else f"${prompt} / ${completion}"
    return Offer(number, model, prompt, completion, cost, settings=known)


def _typed(request: HttpRequest, known: dict[str, dict[str, Any]]) -> list[Offer]:
    """The lines as they were sent; a line with a model that the catalogue doesn't know counts as chosen."""
    offers = []
    for number in range(LISTED + EMPTY):
        model = request.POST.get(f"model-{number}", "").strip()
        prompt, completion = (request.POST.get(f"{n}-{number}", "").strip() for n in ("prompt", "completion"))
        settings = known.get(model)
        chosen = f"sell-{number}" in request.POST or bool(model and settings is None)
        if f"model-{number}" in request.POST:
            cost = _offer(number, model, settings).cost if settings else ""
            offers.append(Offer(number, model, prompt, completion, cost, chosen, settings=settings))
    return offers


def _sell(page: ModelAdmin, request: HttpRequest, provider: Provider, offers: list[Offer]) -> int | None:
    """Make the chosen models, all or (None) nothing, with what is wrong at each line."""
    chosen, faults = [offer for offer in offers if offer.chosen], False
    with transaction.atomic():
        for offer in chosen:
            try:
                with transaction.atomic():
                    made = services.create_model(
                        provider.paywall, provider=provider, **_settings(offer, provider)
                    )
                    page.log_change(request, provider.paywall, f"Added the model {made}.")
            except ApiError as refusal:
                offer.fault, faults = f"{_name(refusal)} {refusal.message}.", True
            except money.InvalidAmount as wrong:
                offer.fault, faults = f"A price {wrong}.", True
        if faults:
            transaction.set_rollback(True)
    return None if faults else len(chosen)


def _settings(offer: Offer, provider: Provider) -> dict[str, Any]:
    """What the model is made with. Where a suggested price stands, so do the catalogue's other prices."""
    prompt, completion = money.parse(offer.prompt, zero=True), money.parse(offer.completion, zero=True)
    settings: dict[str, Any] = {
        "model_id": f"sandbox/{offer.model}" if provider.is_sandbox else offer.model,
        "upstream_model": offer.model,
        "prompt_price": prompt,
        "completion_price": completion,
    }
    known = offer.settings
    if known is None or known is _SANDBOX_PRICE:
        return settings
    settings |= {**known, "cost_source": PaywallModel.CostSource.GENAI_PRICES.value}
    if (prompt, completion) == (known["prompt_cost"], known["completion_cost"]):
        priced = ("cache_read", "cache_write", "request", "image")
        settings |= {f"{part}_price": known[f"{part}_cost"] for part in priced}
        settings["tiers"] = known["cost_tiers"]
    return settings


def _payments(page: ModelAdmin, request: HttpRequest, paywall: Paywall) -> HttpResponse:
    """Asks Stripe, so outside of any transaction."""
    form = StripeForm(request.POST or None)
    account = accounts.account_for(paywall)
    own = paywall.mode == Paywall.Mode.DEFAULT
    if request.method == "POST" and form.is_valid():
        key = form.cleaned_data["secret_key"] if own else ""
        if not key:
            return _next(paywall, "key")
        by = request.user.get_username()
        try:
            connected = integration.connect(paywall, key, by=by)
        except ApiError as refusal:
            form.add_error("secret_key", f"This key {refusal.message}.")
        else:
            page.log_change(request, paywall, f"Connected {connected}.")
            for fault in upkeep.connect_and_price(paywall, by=by):
                page.message_user(request, fault, messages.WARNING)
            return _next(paywall, "key")
    context = {"account": account, "own": own}
    shown = form if own and account is None else None
    return _page(page, request, "payments", shown, paywall=paywall, button="Next", **context)


def _tell(form: forms.Form, refusal: ApiError) -> None:
    field = refusal.param if refusal.param in form.fields else None
    form.add_error(field, f"{'This' if field else _name(refusal)} {refusal.message}.")


def _name(refusal: ApiError) -> str:
    return (refusal.param or "This").replace("_", " ").capitalize()


def _next(paywall: Paywall, step: str) -> HttpResponse:
    address = reverse("admin:paywalls_paywall_setup", args=[paywall.pk], query={"step": step})
    return redirect(address)


def _page(
    page: ModelAdmin, request: HttpRequest, step: str, form: forms.Form | None, **context: Any
) -> HttpResponse:
    paywall = context.get("paywall")
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": f"Set up {paywall}" if paywall else "New paywall",
        "steps": STEPS,
        "step": step,
        "form": form,
        "back": page_of(paywall) if paywall else "",
        **context,
    }
    return TemplateResponse(request, "admin/paywalls/setup.html", context)
