"""The team: who operates a tenant, in which role."""

import logging
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from unfold.widgets import UnfoldAdminEmailInputWidget

from config.admin import OperatorAdmin, action
from config.admin.account import pages
from config.admin.columns import badge, link, moment, page_of
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
        "second_factor",
        "user__last_login",
        moment("created_at", "joined"),
    )
    list_filter = (("role", ChoicesRadioFilter),)
    list_select_related = ("user__second_factor", "tenant")
    actions_detail = ("sessions", "reset_two_factor")
    search_fields = ("user__username", "user__email")
    id_lookups = {"tenant": "tenant"}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return (
            ("user", "tenant", "role", "second_factor", moment("created_at", "joined"))
            if obj
            else ("tenant", "email", "role")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return ("user", "tenant", "second_factor", moment("created_at", "joined")) if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        return super().get_form(request, obj, change, **({"form": forms.ModelForm} if obj else {}), **options)

    @admin.display(description="two-factor", boolean=True)
    def second_factor(self, member: Membership) -> bool:
        factor = getattr(member.user, "second_factor", None)
        return bool(factor and factor.confirmed_at)

    @action(description="Sessions", icon="devices", permissions=["team"])
    def sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where the member is logged in, and the end of it."""
        member = self._member(request, object_id)
        if not _is_theirs(request, member):
            return self._refused(request, member)
        return pages.of_member(request, member.user, page_of(member))

    @action(description="Reset two-factor", icon="lock_reset", permissions=["team"])
    def reset_two_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """For who lost the device and the recovery codes."""
        member = self._member(request, object_id)
        # Else the owner of one tenant could weaken the way into another.
        alone = not member.user.memberships.exclude(tenant=member.tenant).exists()
        if not _is_theirs(request, member) or not (alone or request.user.is_superuser):
            return self._refused(request, member)
        return pages.reset_two_factor(self, request, member.user, page_of(member))

    def _member(self, request: HttpRequest, object_id: str) -> Membership:
        return get_object_or_404(self.get_queryset(request), pk=object_id)

    def _refused(self, request: HttpRequest, member: Membership) -> HttpResponse:
        told = f"{member.user} does not work for this tenant alone: ask a superuser of the installation."
        self.message_user(request, told, messages.ERROR)
        return redirect(page_of(member))

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


def _is_theirs(request: HttpRequest, member: Membership) -> bool:
    """A superuser's sessions and second factor are the installation's."""
    return bool(request.user.is_superuser or not member.user.is_superuser)
