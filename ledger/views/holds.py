"""Holds for apps that charge for work of their own: reserve, do the work, capture what it cost."""

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import ids, money
from config.errors import ApiError, NotFound
from config.openapi import IDEMPOTENCY_KEY, USER_HEADERS, errors
from ledger import services
from ledger.models import Hold, Transfer
from ledger.serializers.holds import (
    CaptureAnswer,
    CaptureRequest,
    HoldAnswer,
    HoldRequest,
    ReleaseAnswer,
)
from ledger.views.base import UNPAID, MoneyView

HOLD_ID = OpenApiParameter("hold_id", str, OpenApiParameter.PATH, description="Such as `hld_018f…`.")


class HoldsView(MoneyView):
    @extend_schema(
        operation_id="placeHold",
        summary="Reserve an amount of an end user's balance",
        tags=["User"],
        parameters=[*USER_HEADERS, IDEMPOTENCY_KEY],
        request=HoldRequest,
        responses={
            200: OpenApiResponse(HoldAnswer, "The hold stands, or was refused (`success`)."),
            **errors(400, 401, 403, 409, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """A hold that the balance doesn't cover changes nothing and claims no Idempotency-Key."""
        body = self.read(HoldRequest)
        user = self.user_ref(body["user"])
        asked = {"amount": body["amount"], "seconds": body["seconds"]}

        def effect(source: str) -> dict[str, Any]:
            hold_id = ids.new()
            services.hold(user, **asked, hold_id=hold_id)
            hold = Hold.objects.get(pk=hold_id)
            return {"success": True, "id": hold.public_id, "expiresAt": hold.expires_at.isoformat()}

        try:
            return self.once("hold", {"user": user.external_id, **asked}, effect)
        except UNPAID as refusal:
            return self.unpaid(user, refusal)


class _HoldView(MoneyView):
    """An endpoint of one hold."""

    def hold(self, public_id: str) -> Hold:
        """The paywall's hold. Raises NotFound."""
        try:
            key = ids.parse("hold", public_id)
        except ValueError:
            raise NotFound("There is no such hold.") from None
        paywall = self.paywall()
        of_paywall = Q(connection__paywall=paywall) if self.is_shared() else Q(account__user__paywall=paywall)
        mine = Hold.objects.filter(of_paywall, kind=Hold.Kind.APP)
        found = mine.filter(pk=key).first()
        if found is None:
            raise NotFound("There is no such hold.")
        return found


class CaptureView(_HoldView):
    @extend_schema(
        operation_id="captureHold",
        summary="Charge a hold, whole or in part, and free the rest",
        tags=["User"],
        parameters=[HOLD_ID, IDEMPOTENCY_KEY],
        request=CaptureRequest,
        responses={
            200: OpenApiResponse(CaptureAnswer, "The charge stands."),
            **errors(400, 401, 403, 404, 409, 413, 415, 422, 503),
        },
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """A hold is captured once. The same amount again is answered again; another one, or a hold that was
        released or has expired, is refused with 409."""
        body = self.read(CaptureRequest)
        hold = self.hold(hold_id)
        amount, metadata = body.get("amount", hold.amount), body.get("metadata", {})
        if amount > hold.amount:
            raise ApiError(
                f"amount: must be at most the {money.plain(hold.amount)} that is held",
                param="amount",
                code="more_than_held",
            )

        def effect(source: str) -> dict[str, Any]:
            services.capture(hold, amount, metadata=metadata)
            charge = Transfer.objects.get(request_id=hold.pk)
            return {"success": True, "captured": money.plain(amount), "activityId": charge.public_id}

        return self.once("capture", {"hold": hold_id, "amount": amount, "metadata": metadata}, effect)


class ReleaseView(_HoldView):
    @extend_schema(
        operation_id="releaseHold",
        summary="Free a hold without a charge",
        tags=["User"],
        parameters=[HOLD_ID, IDEMPOTENCY_KEY],
        request=None,
        responses={
            200: OpenApiResponse(ReleaseAnswer, "Nothing is reserved any more."),
            **errors(400, 401, 403, 404, 409, 422, 503),
        },
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Again changes nothing. A hold that was captured is refused with 409."""
        hold = self.hold(hold_id)

        def effect(source: str) -> dict[str, Any]:
            services.release(hold)
            return {"success": True}

        return self.once("release", {"hold": hold_id}, effect)
