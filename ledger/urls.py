"""Where the ledger's endpoints and pages are."""

from django.urls import path

from ledger import pages
from ledger.views import balance, holds, records, settings

urlpatterns = [
    path("v1/user/balance", balance.BalanceView.as_view()),
    path("v1/user/balance/topup", balance.TopUpView.as_view()),
    path("v1/user/balance/deposit", balance.DepositView.as_view()),
    path("v1/user/charge", balance.ChargeView.as_view()),
    path("v1/user/holds", holds.HoldsView.as_view()),
    path("v1/user/holds/<str:hold_id>/capture", holds.CaptureView.as_view()),
    path("v1/user/holds/<str:hold_id>/release", holds.ReleaseView.as_view()),
    path("v1/user/transactions", records.TransactionsView.as_view()),
    path("v1/user/settings", settings.SettingsView.as_view()),
    path("v1/ledger/export", records.ExportView.as_view()),
    path("t/<str:token>", pages.topup, name="topup"),
]
