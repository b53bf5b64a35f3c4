"""Paywalls, with what they sell."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from config.admin import RelatedRows, SettingsAdmin, action, display
from config.admin.columns import full_id, itself, link, moment, money, page_of, public_id, text
from config.admin.forms import DollarField, PercentField
from paywalls import keys, offers, rules, services, standing
from paywalls.admin import calls, health, setup, topups
from paywalls.admin.catalogue import key_state
from paywalls.admin.issuing import ask, issue_for, rotate
from paywalls.admin.keys import STATES, state_of
from paywalls.admin.limits import LABELS, OF_EACH_USER, SPEND, RequestLimitsForm
from paywalls.admin.standing import undo, with_reason
from paywalls.keys import Kind
from paywalls.models import Paywall, PaywallKey, PaywallModel, Playground, Provider, Tenant
from paywalls.models.limits import REQUEST_LIMITS
from paywalls.roles import Can


class PaywallForm(calls.CallsForm, topups.TopUpForm, RequestLimitsForm):
    trial_credit = DollarField(help_text="What a new end user gets once, as a gift.")
    markup_percent = PercentField(help_text="Added on top of every model's price.")

    rules = {**rules.PAYWALL, **calls.RULES}

    class Meta:
        model = Paywall
        fields = (
            "tenant",
            "name",
            "mode",
            "description",
            "icon_url",
            "trial_credit",
            "markup_percent",
            *REQUEST_LIMITS,
            *SPEND,
            "replay_answers",
            *topups.FIELDS,
            *calls.MODEL_FIELDS,
        )
        labels = {**LABELS, **calls.LABELS}

    def check_settings(self) -> None:
        known = self.known()
        tenant = known.tenant if known else self.cleaned_data["tenant"]
        services.check_paywall(tenant, known, **self.settings())
        self.check_topup()


class ProvidersOfPaywall(RelatedRows):
    model = Provider
    fields = readonly_fields = (itself("provider"), text("base_url", "base URL"), key_state)


class ModelsOfPaywall(RelatedRows):
    model = PaywallModel
    fields = readonly_fields = (
        itself("model"),
        link("provider"),
        money("prompt_price", "prompt / 1M"),
        money("completion_price", "completion / 1M"),
        money("request_price", "request"),
    )


class KeysOfPaywall(RelatedRows):
    model = PaywallKey
    fields = readonly_fields = (
        itself("key"),
        "kind",
        "state",
        moment("created_at"),
        moment("expires_at"),
        moment("revoked_at"),
    )

    @display(description="state", label=STATES)
    def state(self, key: PaywallKey) -> str:
        return state_of(key)


@admin.register(Paywall)
class PaywallAdmin(SettingsAdmin):
    tenant_path = "tenant"
    needs = Can.SETTINGS
    form = PaywallForm
    list_display = (
        "name",
        link("tenant"),
        "mode",
        money("trial_credit"),
        "markup",
        moment("archived_at"),
        public_id(),
        moment("created_at"),
    )
    list_filter = ("mode",)
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name", "tenant__email")
    id_lookups = {"paywall": "pk", "tenant": "tenant"}
    autocomplete_fields = ("tenant",)
    inlines = (ModelsOfPaywall, ProvidersOfPaywall, KeysOfPaywall)
    actions_list = ("set_up",)
    actions_detail = (
        "playground",
        {"title": "Keys", "icon": "key", "items": ["rotate_key", "issue_key", "issue_publishable_key"]},
        {"title": "Close", "icon": "archive", "items": ["archive", "restore"]},
        {"title": "Add", "icon": "add", "items": ["add_provider", "add_model", "setup"]},
    )

    change_form_outer_before_template = "admin/paywalls/figures.html"
    change_form_outer_after_template = "admin/paywalls/preview.html"

    def create(self, form: PaywallForm) -> Paywall:
        made = services.create_paywall(form.cleaned_data["tenant"], **form.settings())
        offers.configure_topup(made, form.topup())
        return made

    def update(self, row: Paywall, form: PaywallForm) -> None:
        services.update_paywall(row, **form.settings())
        offers.configure_topup(row, form.topup())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The settings, below the paywall's health and above what end users see."""
        paywall = self.get_object(request, object_id)
        shown = {}
        if paywall and self.has_view_permission(request, paywall):
            shown = {
                "figures": health.of_paywall(paywall),
                "defaults": calls.TEMPLATES if self.has_change_permission(request, paywall) else (),
                "sample_url": f"{settings.PUBLIC_URL}/t/AbCdEf",
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The limits, callers and words stand apart."""
        groups = tuple(
            (title, {**options, "classes": ["tab"]})
            for title, options in (OF_EACH_USER, topups.FIELDSET, *calls.FIELDSETS)
        )
        grouped = {name for _, options in groups for name in options["fields"]}
        fields = [name for name in self.get_fields(request, obj) if name not in grouped]
        return [(None, {"fields": fields}), *groups]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fixed = (full_id(), "tenant", "mode", "config_version", moment("created_at"))
        archived = (moment("archived_at"), "archived_reason") if obj and obj.archived_at else ()
        return (*fixed, *archived) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only one without end users can go: their money is in the books."""
        used = obj is not None and obj.users.exists()
        return not used and super().has_delete_permission(request, obj)

    @admin.display(description="markup", ordering="markup_percent")
    def markup(self, paywall: Paywall) -> str:
        return f"{paywall.markup_percent.normalize():f} %"

    # Permissions by method, not by dotted name: the system checks look those up in the database, and it may
    # still be empty (before the first `migrate`).
    @action(description="Issue a key", icon="key", permissions=["keys"])
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return issue_for(self, request, get_object_or_404(Paywall, pk=object_id))

    @action(description="Issue a publishable key", icon="key", permissions=["keys"])
    def issue_publishable_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return issue_for(self, request, get_object_or_404(Paywall, pk=object_id), Kind.PUBLISHABLE)

    @action(description="New paywall", icon="add", permissions=["settings"])
    def set_up(self, request: HttpRequest) -> HttpResponse:
        return setup.begin(self, request, self.visible(request, Tenant, Can.SETTINGS))

    @action(description="Go on setting up", icon="checklist", permissions=["settings"])
    def setup(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return setup.go_on(self, request, get_object_or_404(Paywall, pk=object_id))

    @action(description="Rotate the key", icon="autorenew", permissions=["keys"])
    def rotate_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        paywall = get_object_or_404(Paywall, pk=object_id)
        chosen = list(keys.live().filter(paywall=paywall).select_related("paywall").order_by("-pk"))
        return rotate(self, request, chosen, back=page_of(paywall), choosing=True)

    @action(description="Archive", icon="archive", permissions=["settings"])
    def archive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        paywall = get_object_or_404(Paywall, pk=object_id)
        asked = with_reason(
            self,
            request,
            [paywall],
            standing.archive_paywall,
            question=f"Archive {paywall.name}?",
            consequence="Its API answers 410 from the next request on. Balances stay, and it can be restored.",
            button="Archive",
            done="Archived",
            back=page_of(paywall),
        )
        return asked or redirect(page_of(paywall))

    @action(description="Restore", icon="unarchive", permissions=["settings"])
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        paywall = get_object_or_404(Paywall, pk=object_id)
        if request.method == "POST":
            undo(self, request, [paywall], standing.restore_paywall, "Restored")
            return redirect(page_of(paywall))
        return ask(
            self,
            request,
            f"Restore {paywall.name}?",
            "Its API answers again, as it did before it was archived.",
            "Restore",
            back=page_of(paywall),
        )

    @action(description="Playground", icon="chat", permissions=["look"])
    def playground(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To its page where it has one, else to the page that makes it."""
        paywall = get_object_or_404(self.get_queryset(request), pk=object_id)
        if known := Playground.objects.filter(paywall=paywall).first():
            return redirect(page_of(known))
        return redirect(reverse("admin:paywalls_playground_add", query={"paywall": paywall.pk}))

    @action(description="A provider", icon="hub", permissions=["settings"])
    def add_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:paywalls_provider_add", query={"paywall": object_id}))

    @action(description="A model", icon="neurology", permissions=["prices"])
    def add_model(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:paywalls_paywallmodel_add", query={"paywall": object_id}))
