"""An end user at the top-up page, with a browser."""

from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.test import Client

from ledger import queries, services, topups
from paywalls.models import EndUser
from paywalls.users import UserRef
from tests.factories import make_paywall


def make_customer(external_id: str = "alice", **settings: Any) -> EndUser:
    """An end user with a wallet, of a paywall with these settings."""
    return services.ensure_user(UserRef(make_paywall(**settings).id, external_id))


def path_of(user: EndUser) -> str:
    """The path of the user's top-up link."""
    return urlsplit(topups.link_for(user)).path


def posted(user: EndUser) -> int:
    """What the user's wallet owns (nano-dollars)."""
    return queries.balance_of(UserRef(user.paywall_id, user.external_id)).posted


def show(path: str) -> HttpResponse:
    """Open a page."""
    return Client().get(path)


def pay(path: str, amount: str = "10", other: str = "") -> HttpResponse:
    """Send the form of a top-up page."""
    return Client().post(path, {"amount": amount, "other": other})
