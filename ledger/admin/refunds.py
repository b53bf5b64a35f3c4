"""Pages that give back a charge, or take back a credit."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from config import money
from config.admin.columns import page_of
from ledger import services
from ledger.models import Transfer
from ledger.operations import Receipt
from paywalls.admin.moving import Question, move

Kind = Transfer.Kind
REFUNDABLE = {Kind.USAGE, Kind.CHARGE}
REVERSIBLE = {Kind.DEPOSIT, Kind.GRANT}


def refund(page: ModelAdmin, request: HttpRequest, transfer: Transfer) -> HttpResponse:
    """Give back a charge, or a part of it."""

    def do(given: dict[str, Any], source: str, metadata: dict[str, Any]) -> Receipt:
        return services.refund(transfer.pk, given["amount"], source=source, metadata=metadata)

    told = "The credits that it burned come back; what had an end keeps it. No card is refunded by this."
    return _give_back(page, request, transfer, REFUNDABLE, "Refund", "Refunded", told, do)


def reverse(page: ModelAdmin, request: HttpRequest, transfer: Transfer) -> HttpResponse:
    """Take back a deposit or a grant, or a part of it."""

    def do(given: dict[str, Any], source: str, metadata: dict[str, Any]) -> Receipt:
        return services.reverse(transfer.pk, given["amount"], source=source, metadata=metadata)

    told = "What is spent already becomes debt, which the next top-up pays. No card is refunded by this."
    return _give_back(page, request, transfer, REVERSIBLE, "Take back", "Took back", told, do)


def _give_back(
    page: ModelAdmin,
    request: HttpRequest,
    transfer: Transfer,
    kinds: set[Transfer.Kind],
    button: str,
    done: str,
    consequence: str,
    do: Any,
) -> HttpResponse:
    # A wallet's other side may be a team or a tenant, which have no page of their own.
    back = page_of(transfer.wallet.user or transfer)
    gone: int = transfer.reversals.aggregate(sum=Sum("amount"))["sum"] or 0
    left = transfer.amount - gone
    posted = request.method == "POST"
    if transfer.kind not in kinds or (left <= 0 and not posted):
        told = (
            "Nothing of it is left to give back." if transfer.kind in kinds else f"No {transfer.kind} can be."
        )
        page.message_user(request, f"{button}: {told}", messages.ERROR)
        return redirect(page_of(transfer))
    question = Question(
        f"{button} {money.formatted(transfer.amount)} of {transfer.wallet.user or transfer.wallet}",
        f"{consequence} {money.formatted(left)} of it is left.",
        button,
        done,
        back,
    )
    return move(page, request, transfer, question, do, amount=left)
