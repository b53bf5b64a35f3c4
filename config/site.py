"""The operators' site: its name, colors and menu, as django-unfold reads them from the settings."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def environment(request: HttpRequest) -> list[str]:
    """The badge beside the title, so that nobody takes one installation for the other."""
    from django.conf import settings

    return ["Production", "danger"] if settings.PRODUCTION else ["Development", "info"]


def _logo(request: HttpRequest) -> str:
    return static("tollgate.svg")


def _style(request: HttpRequest) -> str:
    return static("operator.css")


def _overview_style(request: HttpRequest) -> str:
    return static("overview.css")


def _overview_script(request: HttpRequest) -> str:
    return static("overview.js")


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    app, name = model.split(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}")


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_view(model),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tollgate",
    "SITE_HEADER": "Tollgate",
    "SITE_SUBHEADER": "Operators",
    "SITE_URL": None,
    "SITE_ICON": _logo,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _logo}],
    "SHOW_BACK_BUTTON": True,
    "ACCOUNT": {"navigation": [{"title": "Your account", "link": reverse_lazy("account:overview")}]},
    "DASHBOARD_CALLBACK": "ledger.admin.overview.first_page",
    "ENVIRONMENT": "config.site.environment",
    "STYLES": [_style, _overview_style],
    "SCRIPTS": [_overview_script],
    "BORDER_RADIUS": "6px",
    # The blue of the hosted pages.
    "COLORS": {
        "primary": {
            "50": "#f1f4ff",
            "100": "#e3e9fe",
            "200": "#cad5fd",
            "300": "#a6b7fb",
            "400": "#8da3f8",
            "500": "#6f8af2",
            "600": "#2f55d4",
            "700": "#2347c5",
            "800": "#1e3a9c",
            "900": "#1c337b",
            "950": "#13204d",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {"items": [{"title": "Overview", "icon": "monitoring", "link": reverse_lazy("admin:index")}]},
            {
                "title": "Paywalls",
                "separator": True,
                "items": [
                    _item("Tenants", "apartment", "paywalls.tenant"),
                    _item("Paywalls", "toll", "paywalls.paywall"),
                    _item("Keys", "key", "paywalls.paywallkey"),
                    _item("Providers", "hub", "paywalls.provider"),
                    _item("Models", "neurology", "paywalls.paywallmodel"),
                    _item("Routes", "alt_route", "paywalls.route"),
                    _item("Playgrounds", "chat", "paywalls.playground"),
                    _item("End users", "group", "paywalls.enduser"),
                    _item("Teams", "groups", "paywalls.team"),
                    _item("Tenant keys", "vpn_key", "paywalls.tenantkey"),
                    _item("Tier limits", "speed", "paywalls.tierlimits"),
                    _item("Provider costs", "price_change", "paywalls.providercost"),
                    _item("Burn tables", "local_fire_department", "ledger.burntable"),
                    _item("Wallet users", "wallet", "paywalls.walletuser"),
                    _item("Connections", "cable", "paywalls.connection"),
                    _item("Requests to connect", "contact_support", "paywalls.authorizationrequest"),
                    _item("Entitlements", "verified_user", "ledger.entitlement"),
                    _item("Uses of features", "counter_5", "ledger.featureusage"),
                ],
            },
            {
                "title": "Money",
                "separator": True,
                "items": [
                    _item("Requests", "swap_calls", "ledger.proxyrequest"),
                    _item("Reported usage", "data_usage", "ledger.usageevent"),
                    _item("Accounts", "account_balance_wallet", "ledger.account"),
                    _item("Transfers", "swap_horiz", "ledger.transfer"),
                    _item("Holds", "lock_clock", "ledger.hold"),
                    _item("Lots", "stacks", "ledger.lot"),
                    _item("Top-up links", "add_card", "ledger.topuplink"),
                    _item("Plans", "card_membership", "paywalls.plan"),
                    _item("Stripe accounts", "account_balance", "ledger.stripeaccount"),
                    _item("Stripe payments", "payments", "ledger.stripepayment"),
                    _item("Stripe checkouts", "shopping_cart_checkout", "ledger.stripecheckout"),
                    _item("Stripe events", "sensors", "ledger.stripeevent"),
                    _item("Auto top-ups", "autorenew", "ledger.autocharge"),
                    _item("Subscriptions to plans", "event_repeat", "ledger.plansubscription"),
                    _item("Splits", "call_split", "ledger.split"),
                    _item("Settlements", "task_alt", "ledger.settlement"),
                    _item("Withdrawals", "payments", "ledger.withdrawal"),
                    _item("Reconciliation", "rule", "ledger.reconciliationitem"),
                    _item("Alerts", "notification_important", "ledger.operatoralert"),
                ],
            },
            {
                "title": "Webhooks",
                "separator": True,
                "items": [
                    _item("Subscriptions", "webhook", "webhooks.subscription"),
                    _item("Events", "bolt", "webhooks.event"),
                    _item("Deliveries", "outbox", "webhooks.delivery"),
                ],
            },
            {
                "title": "Operators",
                "separator": True,
                "items": [
                    _item("Team", "badge", "paywalls.membership"),
                    _item("Audit log", "history", "paywalls.auditentry"),
                    _item("Users", "person", "auth.user"),
                ],
            },
        ],
    },
}
