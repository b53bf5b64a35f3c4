"""Reading the books: an end user's transactions, and a paywall's ledger as a file."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import ids, money
from config.db import from_threads
from config.openapi import USER_HEADERS, errors
from ledger import export, queries
from ledger.models import Transfer
from ledger.serializers.records import ExportQuery, TransactionsAnswer, TransactionsQuery
from ledger.views.base import PaywallView


class TransactionsView(PaywallView):
    @extend_schema(
        operation_id="listTransactions",
        summary="What an end user's balance was changed by, newest first",
        tags=["User"],
        parameters=[TransactionsQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(TransactionsAnswer, "A page."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """Pages are stable: what happens meanwhile is on pages before the first."""
        query = TransactionsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        found = queries.transactions_of(
            self.user_ref(asked.get("user")),
            limit=asked["limit"],
            before=int(asked["cursor"]) if "cursor" in asked else None,
            kind=asked.get("kind"),
            since=asked.get("from"),
            until=asked.get("to"),
            request_id=asked.get("requestId"),
        )
        return Response(
            {
                "transactions": [_transaction(transfer) for transfer in found.transfers],
                "nextCursor": None if found.next is None else str(found.next),
            }
        )


class ExportView(PaywallView):
    @extend_schema(
        operation_id="exportLedger",
        summary="The paywall's ledger as a file",
        tags=["Ledger"],
        parameters=[ExportQuery],
        responses={
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "A line for each transfer, oldest first."),
            (200, "application/jsonl"): OpenApiResponse(OpenApiTypes.STR, "The same, as JSON objects."),
            **errors(400, 401, 503),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Any range, at any size: it is sent as it is read. In CSV a text that a spreadsheet would take for a
        formula gets an apostrophe in front; JSON Lines are exact. In shared mode these are the charges and refunds that
        the paywall caused, without the balances of the wallets."""
        query = ExportQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        selection = export.Selection(
            self.paywall().tenant_id, self.paywall().pk, asked.get("from"), asked.get("to")
        )
        chunks = export.chunks(selection, asked["format"])
        media_type = {"csv": "text/csv", "jsonl": "application/jsonl"}[asked["format"]]
        return StreamingHttpResponse(
            from_threads(chunks),
            content_type=f"{media_type}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="ledger.{asked["format"]}"'},
        )


def _transaction(transfer: Transfer) -> dict[str, Any]:
    change = transfer.balance_after - transfer.balance_before
    return {
        "activityId": transfer.public_id,
        "kind": transfer.kind,
        "amount": money.plain(change),
        "amountNano": str(change),
        "balanceBefore": money.plain(transfer.balance_before),
        "balanceAfter": money.plain(transfer.balance_after),
        "balanceAfterNano": str(transfer.balance_after),
        "requestId": ids.public("request", transfer.request_id) if transfer.request_id else None,
        "reverses": ids.public("activity", transfer.reverses_id) if transfer.reverses_id else None,
        "createdAt": transfer.created_at.isoformat(),
        "metadata": transfer.metadata,
    }
