"""The prices of a paywall's models in one table: edited together, written all or none, logged with before and after."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from config import money
from config.admin.columns import page_of
from config.admin.forms import DollarField, SettingsForm
from paywalls import margins, rules, services
from paywalls.admin.prices import OptionalDollarField, warn
from paywalls.models import Paywall, PaywallModel

PER_PAGE = 40
PRICES = ("prompt_price", "completion_price", "request_price", "minimum_price")
COSTS = ("prompt_cost", "completion_cost", "request_cost")


def _cell(field: type[DollarField], label: str, *empty: int) -> DollarField:
    """A field that is written only where it differs from what the page showed: two operators don't undo each other."""
    widget = forms.TextInput(attrs={"class": "cell", "inputmode": "decimal"})
    return field(*empty, label=label, widget=widget, show_hidden_initial=True)


class RowForm(SettingsForm):
    """A model's line."""

    prompt_price = _cell(DollarField, "Prompt price")
    completion_price = _cell(DollarField, "Completion price")
    request_price = _cell(DollarField, "Price of a request")
    minimum_price = _cell(DollarField, "Minimum")
    prompt_cost = _cell(OptionalDollarField, "Prompt cost")
    completion_cost = _cell(OptionalDollarField, "Completion cost")
    request_cost = _cell(OptionalDollarField, "Cost of a request", 0)

    rules = {name: rules.MODEL[name] for name in (*PRICES, *COSTS)}

    class Meta:
        model = PaywallModel
        fields = (*PRICES, *COSTS)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{field.label} of {self.instance.model_id}"

    def settings(self) -> dict[str, Any]:
        """What was typed."""
        return {name: value for name, value in super().settings().items() if name in self.changed_data}

    def check_settings(self) -> None:
        services.check_model(self.instance.paywall, self.instance, **self.settings())

    def columns(self) -> list[tuple[str, list[tuple[str, forms.BoundField]]]]:
        """What stands together: a price and what the provider takes for the same."""
        return [
            (title, [(name, self[field]) for name, field in fields])
            for title, fields in (
                ("Prompt", (("price", "prompt_price"), ("cost", "prompt_cost"))),
                ("Completion", (("price", "completion_price"), ("cost", "completion_cost"))),
                ("Request", (("price", "request_price"), ("cost", "request_cost"))),
                ("Minimum", (("price", "minimum_price"),)),
            )
        ]

    def losses(self) -> list[str]:
        """What the model loses by, as it is stored."""
        return [str(loss) for loss in margins.of_model(self.instance, self.instance.paywall)]

    def page(self) -> str:
        """Where the model's other settings are."""
        return page_of(self.instance)

    def history(self) -> str:
        """Where one reads who changed what."""
        return reverse("admin:paywalls_paywallmodel_history", args=[self.instance.pk])


def edit(page: ModelAdmin, request: HttpRequest, paywalls: QuerySet[Paywall]) -> HttpResponse:
    """The table of one of the paywalls."""
    choices = list(paywalls.filter(models__isnull=False).distinct().order_by("name"))
    wanted = request.GET.get("paywall", "")
    paywall = next((row for row in choices if str(row.pk) == wanted), choices[0] if choices else None)
    words = request.GET.get("q", "").strip()
    known = PaywallModel.objects.select_related("paywall", "provider").prefetch_related("routes__provider")
    models = known.filter(paywall=paywall, model_id__icontains=words)
    shown = Paginator(models.order_by("model_id"), PER_PAGE).get_page(request.GET.get("p"))
    forms = [RowForm(request.POST or None, instance=model, prefix=model.pk.hex) for model in shown]
    if request.method == "POST" and all(form.is_valid() for form in forms):
        _write(page, request, [form for form in forms if form.changed_data])
        return redirect(request.get_full_path())
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Prices",
        "choices": choices,
        "paywall": paywall,
        "q": words,
        "rows": forms,
        "shown": shown,
        "markup": margins.markup(paywall) if paywall else 0,
    }
    return TemplateResponse(request, "admin/paywalls/price_table.html", context)


def _write(page: ModelAdmin, request: HttpRequest, changed: list[RowForm]) -> None:
    written = []
    with transaction.atomic():
        for form in changed:
            model = PaywallModel.objects.select_related("paywall").get(pk=form.instance.pk)
            before = {name: getattr(model, name) for name in form.changed_data}
            if services.update_model(model, **form.settings()):
                page.log_change(request, model, _told(before, model))
                written.append(model)
    page.message_user(request, f"{len(written)} changed, from the next request on.", messages.SUCCESS)
    for model in written:
        warn(page, request, model)


def _told(before: dict[str, int | None], model: PaywallModel) -> str:
    changes = (
        f"{name.replace('_', ' ')} from {_shown(old)} to {_shown(getattr(model, name))}"
        for name, old in before.items()
        if old != getattr(model, name)
    )
    return f"Changed {', '.join(changes)}."


def _shown(nano: int | None) -> str:
    return "nothing" if nano is None else f"${money.plain(nano)}"
