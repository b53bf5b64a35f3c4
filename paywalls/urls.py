"""Where the metering API's own account and the pages of wallets are."""

from django.urls import path

from paywalls.pages import connect, playground, signin, wallet
from paywalls.views import customers, keys, teams

urlpatterns = [
    path("v1/customers/register", customers.RegisterView.as_view()),
    path("v1/customers/me", customers.MeView.as_view()),
    path("v1/keys", keys.KeysView.as_view()),
    path("v1/keys/<uuid:key_id>", keys.KeyView.as_view()),
    path("v1/keys/<uuid:key_id>/rotate", keys.RotateView.as_view()),
    path("v1/teams", teams.TeamsView.as_view()),
    path("v1/teams/<str:team_id>", teams.TeamView.as_view()),
    path("v1/teams/<str:team_id>/members", teams.MembersView.as_view()),
    path("v1/teams/<str:team_id>/members/<str:user_id>", teams.MemberView.as_view()),
    path("playground/account", playground.account, name="playground-account"),
    path("playground/<str:token>", playground.playground, name="playground"),
    path("c/<str:token>", connect.connect, name="connect"),
    path("wallet", wallet.wallet, name="wallet"),
    path("wallet/topup", wallet.topup, name="wallet-topup"),
    path("wallet/connections/<uuid:key>", wallet.change_connection, name="wallet-connection"),
    path("wallet/export.csv", wallet.export, name="wallet-export"),
    path("wallet/sign-in", signin.email, name="wallet-sign-in"),
    path("wallet/code", signin.code, name="wallet-code"),
    path("wallet/sign-out", signin.out, name="wallet-sign-out"),
    path("wallet/sign-out-everywhere", signin.out_everywhere, name="wallet-sign-out-everywhere"),
]
