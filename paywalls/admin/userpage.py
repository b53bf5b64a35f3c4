"""What an operator sees of one end user: figures, and the latest of ledger, requests and deliveries."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model
from django.utils.html import format_html
from django.utils.timezone import localtime

from config.admin.columns import anchor, code, list_of, money_html, page_of
from ledger import queries, spending
from ledger.models import ProxyRequest, Transfer
from paywalls import connections
from paywalls.models import EndUser
from paywalls.users import UserRef
from webhooks import mentions

# Rows of each kind on the page.
LATEST = 15


def overview(user: EndUser) -> dict[str, Any]:
    """What the template `figures_and_sections.html` shows; `user` is one of `spending.with_activity`."""
    ref = UserRef(user.paywall_id, user.external_id)
    balance, connection = queries.balance_of(ref), connections.live(ref)
    spent = user.spent + spending.not_rolled_up(user)  # type: ignore[attr-defined]  # annotated
    names = [user.public_id, *([connection.wallet_user.user.public_id] if connection else [])]
    return {
        "figures": [
            ("Available", money_html(balance.available)),
            ("Held by open requests", money_html(balance.held)),
            ("Spent on use", money_html(spent)),
            ("Last activity", _when(user.active_at)),  # type: ignore[attr-defined]
            ("Wallet", state_of(user)),
        ],
        "sections": [
            _section(
                "Ledger",
                ("when", "what", "amount", "balance", "source", ""),
                map(_transfer, queries.transactions_of(ref, limit=LATEST).transfers),
                list_of(Transfer, q=user.public_id),
            ),
            _section(
                "Requests",
                ("when", "request", "model", "status", "charged"),
                map(_request, _requests(user)),
                list_of(ProxyRequest, q=user.external_id, paywall__id__exact=user.paywall_id),
            ),
            _section(
                "Webhook deliveries",
                ("when", "delivery", "event", "state", "tries"),
                map(_delivery, mentions.deliveries_about(user.paywall_id, names)[:LATEST]),
                "",
                f"Looked for in the paywall's latest {mentions.EVENTS_READ:,} events.",
            ),
        ],
    }


def state_of(user: EndUser) -> str:
    """Whether the user can be served, in a word."""
    if user.blocked_at:
        return "blocked"
    if user.paywall.mode == user.paywall.Mode.SHARED:
        return "connected" if user.is_connected else "not connected"  # type: ignore[attr-defined]
    return "own balance"


def _section(
    title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]], all_of_it: str, note: str = ""
) -> dict[str, Any]:
    found = [list(row) for row in rows]
    return {
        "title": title,
        "headers": headers,
        "rows": found,
        "all": all_of_it if found else "",
        "note": note,
    }


def _requests(user: EndUser) -> Iterable[ProxyRequest]:
    mine = ProxyRequest.objects.filter(paywall=user.paywall_id, external_id=user.external_id)
    return mine.order_by("-created_at")[:LATEST]


def _transfer(transfer: Transfer) -> Sequence[Any]:
    change = transfer.balance_after - transfer.balance_before
    refundable = transfer.kind in (Transfer.Kind.USAGE, Transfer.Kind.CHARGE)
    return (
        _link(transfer, _when(transfer.created_at)),
        transfer.get_kind_display(),
        money_html(change, tone="in" if change > 0 else "out"),
        money_html(transfer.balance_after),
        transfer.metadata.get("reason") or code(transfer.source),
        anchor(_refund_page(transfer), "Refund") if refundable else "",
    )


def _request(request: ProxyRequest) -> Sequence[Any]:
    status = request.get_status_display()
    return (
        _when(request.created_at),
        _link(request, f"req_…{request.public_id[-8:]}"),
        request.model,
        f"{status}: {request.reason}" if request.reason else status,
        money_html(request.charge),
    )


def _delivery(delivery: Any) -> Sequence[Any]:
    return (
        _when(delivery.created_at),
        _link(delivery, f"del_…{delivery.public_id[-8:]}"),
        delivery.event.type,
        delivery.get_state_display(),
        delivery.attempts,
    )


def _refund_page(transfer: Transfer) -> str:
    return page_of(transfer).removesuffix("change/") + "refund/"


def _link(row: Model, words: str) -> str:
    return anchor(page_of(row), words)


def _when(moment: Any) -> str:
    if moment is None:
        return "never"
    local = localtime(moment)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d %H:%M}")
