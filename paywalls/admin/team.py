"""The team: who operates a tenant, in which role."""

import logging
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminEmailInputWidget

from config.admin import OperatorAdmin
from config.admin.columns import badge, link, moment
from config.admin.filters import ChoicesRadioFilter
from paywalls import invitations
from paywalls.invitations import Invitation
from paywalls.models import Membership
from paywalls.roles import Can, Role

logger = logging.getLogger("tollgate.team")


class MemberForm(forms.ModelForm):
    email = forms.EmailField(
        widget=UnfoldAdminEmailInputWidget,
        help_text="Who has no account yet gets a link to set a password.",
    )

    class Meta:
        model = Membership
        fields = ("tenant", "role")


@admin.register(Membership)
class MembershipAdmin(OperatorAdmin):
    """Adding a member invites them."""

    tenant_path = "tenant"
    needs = Can.TEAM
    form = MemberForm
    list_display = (
        "user",
        badge("role", owner="primary", developer="info", finance="success", support="warning"),
        link("tenant"),
        "user__last_login",
        moment("created_at", "joined"),
    )
    list_filter = (("role", ChoicesRadioFilter),)
    list_select_related = ("user", "tenant")
    search_fields = ("user__username", "user__email")
    id_lookups = {"tenant": "tenant"}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return (
            ("user", "tenant", "role", moment("created_at", "joined")) if obj else ("tenant", "email", "role")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return ("user", "tenant", moment("created_at", "joined")) if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        return super().get_form(request, obj, change, **({"form": forms.ModelForm} if obj else {}), **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["role"])
            return
        asked = form.cleaned_data
        made = invitations.invite(asked["tenant"], asked["email"], Role(asked["role"]))
        obj.pk, obj.user = made.member.pk, made.member.user
        obj._state.adding = False
        # Not before it is committed: mail is slow, and can't be taken back.
        transaction.on_commit(lambda: self._tell(request, made))

    def _tell(self, request: HttpRequest, made: Invitation) -> None:
        address, tenant = made.member.user.email, made.member.tenant
        if not made.link:
            self.message_user(
                request, f"{address} has an account, and works for {tenant} now.", messages.SUCCESS
            )
            return
        if invitations.mail_is_sent():
            text = (
                f"You operate {tenant} on Tollgate now. Set your password within three days:\n\n{made.link}\n"
            )
            try:
                send_mail(f"Your account at {tenant}", text, None, [address])
            except OSError:
                logger.exception("an invitation could not be mailed")
            else:
                self.message_user(request, f"The invitation was mailed to {address}.", messages.SUCCESS)
                return
        self.message_user(
            request,
            f"No mail was sent. Give {address} this link, shown this once: {made.link}",
            messages.WARNING,
        )
