"""A wallet's settings: spend limits, the low-balance threshold, auto top-up."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import money
from config.errors import ApiError
from config.openapi import USER_HEADERS, errors
from ledger import services
from ledger.serializers.fields import UserQuery
from ledger.serializers.records import SettingsBody, SettingsRequest
from ledger.services import WalletSettings
from ledger.views.base import MoneyView
from ledger.windows import Limits


class SettingsView(MoneyView):
    @extend_schema(
        operation_id="getSettings",
        summary="An end user's limits and thresholds",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(SettingsBody, "The settings."), **errors(400, 401, 403, 503)},
    )
    def get(self, request: Request) -> Response:
        """Null is no limit, no threshold, no auto top-up."""
        self.check_mode()
        user = self.user_ref(request.query_params.get("user"))
        return Response(_shown(services.wallet_settings(user)))

    @extend_schema(
        operation_id="putSettings",
        summary="Set an end user's limits and thresholds",
        tags=["User"],
        parameters=[*USER_HEADERS],
        request=SettingsRequest,
        responses={
            200: OpenApiResponse(SettingsBody, "The settings as they are now."),
            **errors(400, 401, 403, 413, 415, 503),
        },
    )
    def put(self, request: Request) -> Response:
        """All of them: what is left out is none. A limit counts what the day or month (UTC) has cost so far."""
        self.check_mode()
        body = self.read(SettingsRequest)
        topup = body.get("autoTopUp") or {}
        settings = WalletSettings(
            limits=Limits(body.get("dayLimit"), body.get("monthLimit")),
            low_balance=body.get("lowBalance"),
            topup_amount=topup.get("amount"),
            topup_month_limit=topup.get("monthLimit"),
        )
        try:
            services.configure_wallet(self.user_ref(body["user"]), settings)
        except ValueError as error:
            param = str(error).partition(":")[0]
            raise ApiError(str(error), param=param, code="invalid_request") from None
        return Response(_shown(settings))


def _shown(settings: WalletSettings) -> dict[str, Any]:
    topup = None
    if settings.topup_amount is not None:
        topup = {"amount": _plain(settings.topup_amount), "monthLimit": _plain(settings.topup_month_limit)}
    return {
        "dayLimit": _plain(settings.limits.day),
        "monthLimit": _plain(settings.limits.month),
        "lowBalance": _plain(settings.low_balance),
        "autoTopUp": topup,
    }


def _plain(nano: int | None) -> str | None:
    return None if nano is None else money.plain(nano)
