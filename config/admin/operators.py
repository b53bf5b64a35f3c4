"""Who may use the operators' site: Django's users, in its looks. Only superusers come here."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.admin.account import pages
from config.admin.tenancy import INSTALLATION, TenantPages

admin.site.unregister(User)
# What operators may do follows from their role in each tenant.
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(TenantPages, DjangoUserAdmin, ModelAdmin):
    tenant_path = INSTALLATION
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_superuser", "is_active", "last_login")
    list_filter = ("is_superuser", "is_active")
    filter_horizontal = ()
    actions_detail = ("sessions", "reset_two_factor")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    @action(description="Sessions", icon="devices", permissions=["change"])
    def sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where the user is logged in, and the end of it."""
        user = get_object_or_404(User, pk=object_id)
        return pages.of_member(request, user, self._page_of(user))

    @action(description="Reset two-factor", icon="lock_reset", permissions=["change"])
    def reset_two_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """For who lost the device and the recovery codes."""
        user = get_object_or_404(User, pk=object_id)
        return pages.reset_two_factor(self, request, user, self._page_of(user))

    def _page_of(self, user: Any) -> str:
        return reverse("admin:auth_user_change", args=[user.pk])
