"""Who may use the operators' site: Django's users, in its looks. Only superusers come here."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

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
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
