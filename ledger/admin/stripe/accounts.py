"""What is connected; with pages that connect, rotate and disconnect."""

from typing import Any

import stripe
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget

from config.admin import ReadOnlyAdmin, action
from config.admin.columns import link, moment, page_of
from config.admin.filters import MadeBetween
from config.admin.forms import SecretField
from ledger.models import StripeAccount
from ledger.payments import accounts, integration, stripe_api, upkeep
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall
from paywalls.roles import Can


class ConnectForm(forms.Form):
    """A paywall and its restricted key."""

    paywall = forms.ModelChoiceField(Paywall.objects.none(), widget=UnfoldAdminSelectWidget)
    secret_key = SecretField(
        required=True, label="Restricted key", help_text="Starts with rk_live_ or rk_test_."
    )

    def offer(self, paywalls: QuerySet[Paywall]) -> None:
        """The paywalls among which one is chosen."""
        field = self.fields["paywall"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = paywalls.filter(mode=Paywall.Mode.DEFAULT).order_by("name")


@admin.register(StripeAccount)
class StripeAccountAdmin(ReadOnlyAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.SETTINGS
    list_display = (
        "__str__",
        "mode",
        "standing",
        link("paywall"),
        "endpoint_id",
        moment("created_at"),
        moment("disconnected_at"),
    )
    list_filter = (("created_at", MadeBetween),)
    list_select_related = ("paywall",)
    fields = (
        link("paywall"),
        "mode",
        "standing",
        "key_suffix",
        "endpoint_url",
        "endpoint_id",
        moment("previous_until"),
        "connected_by",
        moment("created_at"),
        moment("disconnected_at"),
    )
    actions_list = ("connect",)
    actions_detail = ("rotate", "disconnect")

    @admin.display(description="mode")
    def mode(self, account: StripeAccount) -> str:
        return "live" if account.livemode else "test"

    @admin.display(description="state")
    def standing(self, account: StripeAccount) -> str:
        if account.disconnected_at:
            return "disconnected"
        if not account.endpoint_id:
            return "connected; Stripe can't reach PUBLIC_URL, so payments are found by asking"
        return "connected"

    @action(description="Connect", icon="add_link", permissions=["settings"])
    def connect(self, request: HttpRequest) -> HttpResponse:
        """Asks Stripe, so it is no form of Django's own, which would be in a transaction."""
        form = ConnectForm(request.POST or None, initial={"paywall": request.GET.get("paywall")})
        form.offer(self.visible(request, Paywall, self.needs))
        if request.method == "POST" and form.is_valid():
            paywall = form.cleaned_data["paywall"]
            by = request.user.get_username()
            try:
                account = integration.connect(paywall, form.cleaned_data["secret_key"], by=by)
            except InvalidSetting as refusal:
                form.add_error("secret_key", f"This key {refusal}.")
            else:
                self.log_change(request, account, "Connected.")
                for fault in upkeep.connect_and_price(paywall, by=by):
                    self.message_user(request, fault, messages.WARNING)
                self.message_user(request, f"{account} is connected.", messages.SUCCESS)
                return HttpResponseRedirect(page_of(account))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Connect Stripe",
            "form": form,
            "back": reverse("admin:ledger_stripeaccount_changelist"),
        }
        return TemplateResponse(request, "admin/ledger/connect_stripe.html", context)

    @action(description="Rotate the secret", icon="autorenew", permissions=["settings"])
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_then(
            request,
            object_id,
            "Rotate the signing secret?",
            "A new endpoint is made at Stripe; what the old one signs is believed for another day.",
            lambda account: integration.rotate(account) and "",
        )

    @action(description="Disconnect", icon="link_off", permissions=["settings"])
    def disconnect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        by = request.user.get_username()
        return self._ask_then(
            request,
            object_id,
            "Disconnect Stripe?",
            "Our endpoint there is removed and the key forgotten; saved cards are no longer charged.",
            lambda account: integration.disconnect(account, by=by),
        )

    def _ask_then(
        self, request: HttpRequest, object_id: str, question: str, consequence: str, do: Any
    ) -> HttpResponse:
        account = get_object_or_404(StripeAccount.objects.select_related("paywall"), pk=object_id)
        back = page_of(account)
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": question,
                "consequence": consequence,
                "button": question.rstrip("?"),
                "back": back,
                "chosen": (),
            }
            return TemplateResponse(request, "admin/paywalls/confirm.html", context)
        try:
            trouble = do(account)
        except (InvalidSetting, accounts.NotConnected, integration.StillNeeded) as refusal:
            self.message_user(request, f"Nothing was changed: {refusal}.", messages.ERROR)
        except stripe.StripeError as error:
            self.message_user(request, f"Stripe refused: {stripe_api.reason(error)}", messages.ERROR)
        else:
            self.log_change(request, account, f"{question.rstrip('?')}.")
            self.message_user(request, trouble or "Done.", messages.WARNING if trouble else messages.SUCCESS)
        return HttpResponseRedirect(back)
