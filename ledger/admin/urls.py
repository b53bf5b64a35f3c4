"""Pages of the operators' site that are no model's."""

from django.contrib import admin
from django.urls import path

from ledger.admin import find, overview

app_name = "operators"
urlpatterns = [
    path("find/", admin.site.admin_view(find.page), name="find"),
    path("overview/payers/", admin.site.admin_view(overview.payers_part), name="payers"),
]
