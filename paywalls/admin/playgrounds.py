"""Playgrounds: the link to a paywall's chat page, switched, rotated and limited."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import format_html

from config.admin import SettingsAdmin, action
from config.admin.columns import link, moment, money, money_html, page_of
from config.admin.forms import DollarField, SettingsForm, SwitchField
from paywalls import playgrounds
from paywalls.admin.issuing import ask
from paywalls.errors import InvalidSetting
from paywalls.models import Playground
from paywalls.roles import Can


class PlaygroundForm(SettingsForm):
    is_on = SwitchField(
        required=False, initial=True, label="On", help_text="Whether the link opens the page."
    )
    visitor_spend_per_day = DollarField(label="Spend per day of a visitor", help_text="In UTC.")
    link_spend_per_day = DollarField(
        label="Spend per day in all", help_text="Of all visitors together, in UTC."
    )

    rules = playgrounds.RULES

    def check_settings(self) -> None:
        if not self.known() and Playground.objects.filter(paywall=self.cleaned_data["paywall"]).exists():
            raise InvalidSetting("has a playground already", param="paywall")

    class Meta:
        model = Playground
        fields = ("paywall", "is_on", *playgrounds.RULES)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "is_on": self.cleaned_data["is_on"]}


@admin.register(Playground)
class PlaygroundAdmin(SettingsAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.SETTINGS
    form = PlaygroundForm
    list_display = (
        link("paywall"),
        "is_on",
        money("visitor_spend_per_day", "a visitor's day"),
        money("link_spend_per_day", "a day in all"),
        moment("rotated_at"),
        moment("created_at"),
    )
    list_display_links = ("is_on",)
    list_filter = ("is_on",)
    list_select_related = ("paywall",)
    search_fields = ("paywall__name",)
    id_lookups = {"paywall": "paywall"}
    autocomplete_fields = ("paywall",)
    actions_detail = ("open_page", "rotate")

    class Media:
        js = ("copy.js",)

    def create(self, form: PlaygroundForm) -> Playground:
        return playgrounds.configure(form.cleaned_data["paywall"], **form.settings())

    def update(self, row: Playground, form: PlaygroundForm) -> None:
        playgrounds.configure(row.paywall, **form.settings())

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["paywall", "is_on", *playgrounds.RULES]
        return ["address", *fields, "today", moment("rotated_at")] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return ("address", "paywall", "today", moment("rotated_at")) if obj else ()

    @admin.display(description="link")
    def address(self, playground: Playground) -> str:
        url = playgrounds.url_of(playground)
        return format_html(
            '<span class="code" id="address">{}</span> '
            '<button type="button" class="copy" data-copy="address">Copy</button>',
            url,
        )

    @admin.display(description="spent today")
    def today(self, playground: Playground) -> str:
        return money_html(playgrounds.used_today(playground.pk))

    @action(description="Open", icon="open_in_new", permissions=["look"], attrs={"target": "_blank"})
    def open_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(playgrounds.url_of(self._found(request, object_id)))

    @action(description="Rotate the link", icon="autorenew", permissions=["settings"])
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        playground = self._found(request, object_id)
        back = page_of(playground)
        if request.method != "POST":
            return ask(
                self,
                request,
                f"Give the playground of {playground.paywall} another link?",
                "The old one answers 410 from the next request on. Visitors keep their balances.",
                "Rotate the link",
                back=back,
            )
        with transaction.atomic():
            playgrounds.rotate(playground)
            self.log_change(request, playground, "Rotated the link.")
        self.message_user(request, "The playground has another link.", messages.SUCCESS)
        return redirect(back)

    def _found(self, request: HttpRequest, object_id: str) -> Playground:
        """One that this operator may see."""
        return get_object_or_404(self.get_queryset(request), pk=object_id)
