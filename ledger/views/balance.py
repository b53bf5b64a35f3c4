"""Balances, deposits and charges."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import ids, money
from config.openapi import IDEMPOTENCY_KEY, USER_HEADERS, errors
from ledger import queries, services, topups
from ledger.errors import Blocked, NotConnected
from ledger.operations import Receipt
from ledger.serializers.fields import UserQuery
from ledger.serializers.movements import (
    BalanceAnswer,
    ChargeAnswer,
    DepositAnswer,
    MovementRequest,
    TopUpAnswer,
)
from ledger.views.base import UNPAID, MoneyView, PaywallView
from paywalls import connections
from paywalls.users import UserRef

RETURN_URL = OpenApiParameter(
    "returnUrl",
    str,
    description="Where in your app the end user goes on afterwards; the paywall must allow its origin.",
)


class BalanceView(PaywallView):
    for_end_users = True

    @extend_schema(
        operation_id="getBalance",
        summary="What an end user can spend",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(BalanceAnswer, "The balance."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """A user who was never seen has the paywall's trial credit."""
        balance = queries.balance_of(self.user_ref(request.query_params.get("user")))
        return Response(_balance(balance.available))


class TopUpView(PaywallView):
    for_end_users = True

    @extend_schema(
        operation_id="getTopUpLink",
        summary="A link where an end user adds money",
        tags=["User"],
        parameters=[UserQuery, RETURN_URL, *USER_HEADERS],
        responses={200: OpenApiResponse(TopUpAnswer, "The link."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """The link is the user's own, expires, and pays once. Asking again gives the same one for a while.

        In shared mode it fills their wallet; of a user who isn't connected yet it is where they connect.
        With `returnUrl` the top-up page leads back there once it is paid.
        """
        user = self.user_ref(request.query_params.get("user"))
        try:
            if services.payer_of(user).blocked_at:
                raise Blocked
            url = topups.link_of(user, request.query_params.get("returnUrl", ""))
        except NotConnected:
            url = connections.link_for(user)
        return Response({"url": url})


class DepositView(MoneyView):
    @extend_schema(
        operation_id="deposit",
        summary="Add money that your app has received",
        tags=["User"],
        parameters=[*USER_HEADERS, IDEMPOTENCY_KEY],
        request=MovementRequest,
        responses={
            200: OpenApiResponse(DepositAnswer, "The deposit stands."),
            **errors(400, 401, 403, 409, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Default mode only. Without an Idempotency-Key every request is a deposit of its own."""
        self.check_mode()
        user, asked = _movement(self)

        def effect(source: str) -> dict[str, Any]:
            receipt = services.deposit(user, **asked, source=source, request_id=_request_id(request))
            return {**_balance(receipt.balance_after), "activityId": _activity(receipt)}

        return self.once("deposit", {"user": user.external_id, **asked}, effect)


class ChargeView(MoneyView):
    @extend_schema(
        operation_id="charge",
        summary="Take an amount from an end user's balance",
        tags=["User"],
        parameters=[*USER_HEADERS, IDEMPOTENCY_KEY],
        request=MovementRequest,
        responses={
            200: OpenApiResponse(ChargeAnswer, "The charge stands, or was refused (`success`)."),
            **errors(400, 401, 403, 409, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """A charge that the balance doesn't cover changes nothing and claims no Idempotency-Key.

        The same request may be sent again after a top-up.
        """
        user, asked = _movement(self)

        def effect(source: str) -> dict[str, Any]:
            receipt = services.charge(user, **asked, source=source, request_id=_request_id(request))
            return {"success": True, "activityId": _activity(receipt)}

        try:
            return self.once("charge", {"user": user.external_id, **asked}, effect)
        except UNPAID as refusal:
            return self.unpaid(user, refusal)


def _movement(view: MoneyView) -> tuple[UserRef, dict[str, Any]]:
    """Whose balance a deposit or charge changes; the amount (nano-dollars) and metadata."""
    body = view.read(MovementRequest)
    asked = {"amount": body["amount"], "metadata": body.get("metadata", {})}
    return view.user_ref(body["user"]), asked


def _request_id(request: Request) -> Any:
    return request.request_id  # type: ignore[attr-defined]  # the middleware's


def _balance(nano: int) -> dict[str, str]:
    return {"balance": str(nano), "balanceFormatted": money.formatted(nano)}


def _activity(receipt: Receipt) -> str:
    return ids.public("activity", receipt.transfer_id)
