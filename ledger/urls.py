"""Where the ledger's endpoints and pages are."""

from django.urls import path

from ledger import pages, views

urlpatterns = [
    path("v1/user/balance", views.BalanceView.as_view()),
    path("v1/user/balance/topup", views.TopUpView.as_view()),
    path("v1/user/balance/deposit", views.DepositView.as_view()),
    path("v1/user/charge", views.ChargeView.as_view()),
    path("t/<str:token>", pages.topup, name="topup"),
]
