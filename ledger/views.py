"""The balance and charge endpoints of the paywall API."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import ids, money
from config.errors import ApiError, Unavailable
from config.openapi import IDEMPOTENCY_KEY, USER_HEADERS, errors
from ledger import idempotency, queries, services, topups
from ledger.errors import BalanceTooLarge, Contention, InsufficientFunds, SourceReused
from ledger.operations import Receipt
from ledger.serializers import (
    BalanceAnswer,
    ChargeAnswer,
    DepositAnswer,
    MovementRequest,
    TopUpAnswer,
    UserQuery,
)
from paywalls import identity
from paywalls.models import Paywall
from paywalls.users import UserRef


class PaywallView(APIView):
    """What the endpoints share: the key's paywall, the end user, and the ledger's refusals as answers."""

    def paywall(self) -> Paywall:
        assert isinstance(self.request.auth, Paywall)
        return self.request.auth

    def user_ref(self, explicit: str | None) -> UserRef:
        """The end user of this request. Raises identity.MissingUser or InvalidUser."""
        named = (self.request.headers.get(name) for name in identity.USER_HEADERS)
        # Django reads header bytes as Latin-1; this gives the bytes back.
        raw = (value.encode("latin-1") if value is not None else None for value in named)
        return UserRef(self.paywall().id, identity.resolve(explicit, raw))

    def handle_exception(self, exc: Exception) -> Response:
        match exc:
            case Contention():
                exc = Unavailable("The ledger is busy. Nothing was done; send the same request again.")
            case BalanceTooLarge():
                exc = ApiError(f"amount: {exc}", param="amount", code="balance_too_large")
            case SourceReused():
                exc = idempotency.IdempotencyKeyReused()
        return super().handle_exception(exc)


class BalanceView(PaywallView):
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
    @extend_schema(
        operation_id="getTopUpLink",
        summary="A link where an end user adds money",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(TopUpAnswer, "The link."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """The link is the user's own, expires, and pays once. Asking again gives the same one for a while."""
        user = services.ensure_user(self.user_ref(request.query_params.get("user")))
        return Response({"url": topups.link_for(user)})


@dataclass(frozen=True, slots=True)
class Movement:
    """What a deposit or charge asks for; `amount` in nano-dollars."""

    user: UserRef
    amount: int
    metadata: dict[str, Any]
    cause: idempotency.Cause

    def carry_out(self, verb: Callable[..., Receipt]) -> Receipt:
        """The transfer that this request, or the first one with its key, made."""
        receipt = verb(
            self.user, self.amount, source=self.cause.source, metadata=self.cause.stamp(self.metadata)
        )
        self.cause.check_same(receipt.metadata)
        return receipt


class MovementView(PaywallView):
    """A POST that moves money, once per Idempotency-Key."""

    def movement(self, endpoint: str) -> Movement:
        """What this request asks for. Raises ApiError where it may not be, or can't be read."""
        paywall = self.paywall()
        if paywall.mode != Paywall.Mode.DEFAULT:
            raise ApiError(
                f"This paywall is in {paywall.mode} mode: the API can't change its balances.",
                status=403,
                code="wrong_mode",
            )
        body = MovementRequest(data=self.request.data)
        body.is_valid(raise_exception=True)
        user = self.user_ref(body.validated_data["user"])
        asked = {"amount": body.validated_data["amount"], "metadata": body.validated_data.get("metadata", {})}
        key = self.request.headers.get("Idempotency-Key")
        cause = idempotency.cause(endpoint, paywall.id, key, {"user": user.external_id, **asked})
        return Movement(user, **asked, cause=cause)


class DepositView(MovementView):
    @extend_schema(
        operation_id="deposit",
        summary="Add money that your app has received",
        tags=["User"],
        parameters=[*USER_HEADERS, IDEMPOTENCY_KEY],
        request=MovementRequest,
        responses={
            200: OpenApiResponse(DepositAnswer, "The deposit stands."),
            **errors(400, 401, 403, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Default mode only. Without an Idempotency-Key every request is a deposit of its own."""
        receipt = self.movement("deposit").carry_out(services.deposit)
        answer = {**_balance(receipt.balance_after), "activityId": _activity(receipt)}
        return Response(answer, headers=_replayed(receipt))


class ChargeView(MovementView):
    @extend_schema(
        operation_id="charge",
        summary="Take an amount from an end user's balance",
        tags=["User"],
        parameters=[*USER_HEADERS, IDEMPOTENCY_KEY],
        request=MovementRequest,
        responses={
            200: OpenApiResponse(ChargeAnswer, "The charge stands, or was refused (`success`)."),
            **errors(400, 401, 403, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """A charge that the balance doesn't cover changes nothing and claims no Idempotency-Key.

        The same request may be sent again after a top-up.
        """
        movement = self.movement("charge")
        try:
            receipt = movement.carry_out(services.charge)
        except InsufficientFunds:
            url = topups.link_for(services.ensure_user(movement.user))
            return Response({"success": False, "message": topups.invitation(self.paywall().name, url)})
        return Response({"success": True, "activityId": _activity(receipt)}, headers=_replayed(receipt))


def _balance(nano: int) -> dict[str, str]:
    return {"balance": str(nano), "balanceFormatted": money.formatted(nano)}


def _activity(receipt: Receipt) -> str:
    return ids.public("activity", receipt.transfer_id)


def _replayed(receipt: Receipt) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if receipt.replayed else {}
