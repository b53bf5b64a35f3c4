"""What a tenant has earned in shared mode, and asks to be paid."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import money
from config.errors import ApiError
from config.openapi import IDEMPOTENCY_KEY, errors
from ledger import services
from ledger.errors import InsufficientFunds
from ledger.models import Withdrawal
from ledger.serializers.withdrawals import WithdrawalAnswer, WithdrawalRequest, WithdrawalsAnswer
from ledger.views.base import MoneyView

SHOWN = 100


class WithdrawalsView(MoneyView):
    @extend_schema(
        operation_id="listWithdrawals",
        summary="What can be withdrawn, and what was",
        tags=["Earnings"],
        responses={200: OpenApiResponse(WithdrawalsAnswer, "The earnings."), **errors(401, 503)},
    )
    def get(self, request: Request) -> Response:
        """Of the paywall's tenant: its paywalls earn together."""
        paywall = self.paywall()
        rows = Withdrawal.objects.filter(tenant_id=paywall.tenant_id).order_by("-created_at")[:SHOWN]
        return Response(
            {
                "available": money.plain(services.earnings_of(paywall)),
                "withdrawals": [_shown(row) for row in rows],
            }
        )

    @extend_schema(
        operation_id="requestWithdrawal",
        summary="Ask to be paid what was earned",
        tags=["Earnings"],
        parameters=[IDEMPOTENCY_KEY],
        request=WithdrawalRequest,
        responses={
            200: OpenApiResponse(WithdrawalAnswer, "The request stands; an operator decides."),
            **errors(400, 401, 409, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """The amount leaves the earnings at once. An operator approves and pays it, or refuses, which gives it back."""
        asked = {"amount": self.read(WithdrawalRequest)["amount"]}

        def effect(_source: str) -> dict[str, Any]:
            return _shown(services.request_withdrawal(self.paywall(), **asked))

        try:
            return self.once("withdrawal", asked, effect)
        except InsufficientFunds as refusal:
            raise ApiError(
                f"amount: more than what was earned: {refusal}", param="amount", code="insufficient_earnings"
            ) from None


def _shown(row: Withdrawal) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "amount": money.plain(row.amount),
        "state": row.state,
        "reference": row.reference,
        "reason": row.reason,
        "createdAt": row.created_at.isoformat(),
        "paidAt": row.paid_at.isoformat() if row.paid_at else None,
    }
