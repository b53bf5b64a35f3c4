"""One search box for every id: ours, the app's, and Stripe's."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from config import ids
from config.admin.columns import page_of
from ledger.admin import scope
from ledger.models import (
    Hold,
    ProxyRequest,
    ReconciliationItem,
    StripeCheckout,
    StripeEvent,
    StripePayment,
    TopUpLink,
    Transfer,
)
from paywalls.models import EndUser, Paywall, Tenant
from webhooks.models import Delivery, Event, Subscription

# Rows shown of one kind: an end user's id may be known to many paywalls.
MOST = 20
MAX_TERM = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A row, what it is, and where its page is."""

    kind: str
    text: str
    address: str


# Which rows a public id of each kind leads to, the nearest first.
_BY_KEY: dict[str, tuple[tuple[type[Model], str], ...]] = {
    "request": (
        (ProxyRequest, "pk"),
        (Hold, "pk"),
        (Transfer, "request_id"),
        (ReconciliationItem, "hold"),
        (Event, "request_id"),
    ),
    "hold": ((Hold, "pk"), (Transfer, "request_id")),
    "activity": ((Transfer, "pk"), (Transfer, "reverses")),
    "user": ((EndUser, "pk"),),
    "paywall": ((Paywall, "pk"),),
    "tenant": ((Tenant, "pk"),),
    "subscription": ((Subscription, "pk"),),
    "event": ((Event, "pk"), (Delivery, "event")),
    "delivery": ((Delivery, "pk"),),
    "link": ((TopUpLink, "pk"),),
}

# Which columns hold ids that others made; each has an index.
_BY_TEXT: tuple[tuple[type[Model], Callable[[str], Q]], ...] = (
    # By paywall, because the index begins with it.
    (EndUser, lambda term: Q(external_id=term, paywall__in=Paywall.objects.values("pk"))),
    (Transfer, lambda term: Q(source=term)),
    (StripeCheckout, lambda term: Q(session_id=term)),
    (StripePayment, lambda term: Q(object_id=term) | Q(payment_intent=term)),
    (StripeEvent, lambda term: Q(event_id=term)),
    (Tenant, lambda term: Q(email=term)),
)


# What the names of rows are made of.
_NAMED_BY: dict[type[Model], tuple[str, ...]] = {EndUser: ("paywall",), ReconciliationItem: ("hold",)}


def page(request: HttpRequest) -> HttpResponse:
    """What was found; straight to its page where it is one thing."""
    term = request.GET.get("q", "").strip()[:MAX_TERM]
    found = list(find(request, term)) if term else []
    if len(found) == 1:
        return redirect(found[0].address)
    context = {**admin.site.each_context(request), "title": "Find", "term": term, "found": found}
    return render(request, "admin/find.html", context)


def find(request: HttpRequest, term: str) -> Iterator[Found]:
    """The rows that an id leads to, of those that the operator may see: by a public id, a bare key, or another's id."""
    for model, condition in _conditions(term):
        if model not in admin.site._registry:
            continue
        rows = scope.rows(request, model).filter(condition).order_by("pk")
        rows = rows.select_related(*_NAMED_BY.get(model, (None,)))[:MOST]
        yield from (Found(str(model._meta.verbose_name), _text(row), page_of(row)) for row in rows)


def _conditions(term: str) -> Iterator[tuple[type[Model], Q]]:
    for kind, leads in _BY_KEY.items():
        if key := _key(kind, term):
            yield from ((model, Q(**{lookup: key})) for model, lookup in leads)
    if key := _bare_key(term):
        models = dict.fromkeys(
            model for leads in _BY_KEY.values() for model, lookup in leads if lookup == "pk"
        )
        yield from ((model, Q(pk=key)) for model in models)
    yield from ((model, condition(term)) for model, condition in _BY_TEXT)


def _key(kind: str, term: str) -> uuid.UUID | None:
    try:
        return ids.parse(kind, term)
    except ValueError:
        return None


def _bare_key(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def _text(row: Any) -> str:
    if isinstance(row, EndUser):
        return f"{row.external_id} · {row.paywall}"
    if isinstance(row, Transfer):
        return f"{row.get_kind_display()} · {row.public_id}"
    return str(row)
