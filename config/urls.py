"""Where Django's own pages are. The gateway's paths are in `proxy/asgi.py`, which is asked first."""

from django.contrib import admin
from django.contrib.auth.views import PasswordResetConfirmView
from django.urls import include, path, reverse_lazy
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("ledger.urls")),
    path("", include("paywalls.urls")),
    path("", include("webhooks.urls")),
    path("admin/", include("config.admin.account.urls")),
    path("admin/", include("ledger.admin.urls")),
    path(
        "admin/invitation/<uidb64>/<token>/",
        PasswordResetConfirmView.as_view(success_url=reverse_lazy("admin:login"), title="Set your password"),
        name="operator-invitation",
    ),
    path("admin/", admin.site.urls),
]

handler400 = "config.pages.bad_request"
handler403 = "config.pages.permission_denied"
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"
