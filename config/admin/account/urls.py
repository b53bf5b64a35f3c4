"""Where operators log in, and look after their own account. Before the site's own addresses: its log-in is ours."""

from django.contrib import admin
from django.urls import path
from django.views.decorators.cache import never_cache

from config.admin.account import login, pages

app_name = "account"
urlpatterns = [
    path("login/", never_cache(login.LoginView.as_view()), name="login"),
    path("login/code/", login.ask_code, name="code"),
    path("account/", admin.site.admin_view(pages.overview), name="overview"),
    path("account/two-factor/", admin.site.admin_view(pages.two_factor), name="two-factor"),
    path("account/recovery-codes/", admin.site.admin_view(pages.recovery), name="recovery"),
]
