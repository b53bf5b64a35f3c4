"""An end user's connection to their wallet (shared mode), and the links that an app shows of it."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.openapi import USER_HEADERS, errors
from ledger import services, topups
from ledger.serializers.connect import ConnectAnswer, DisconnectAnswer, DisconnectRequest, MenuAnswer
from ledger.serializers.fields import UserQuery
from ledger.views.base import PaywallView
from paywalls import connections
from paywalls.models import EndUser
from paywalls.users import UserRef


class ConnectView(PaywallView):
    for_end_users = True

    @extend_schema(
        operation_id="connectUser",
        summary="Whether an end user is connected, or the link that connects them",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(ConnectAnswer, "Connected or not."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """In default mode everybody is: their balance is in this paywall."""
        user = self.user_ref(request.query_params.get("user"))
        if not self.is_shared():
            return Response(
                _connected(services.ensure_user(user), "Users of this paywall need no connection.")
            )
        if connection := connections.live(user):
            return Response(_connected(connection.user, "The user is connected.", connection.created_at))
        message = "The user is not connected to a wallet yet. They connect at the link."
        return Response({"connected": False, "message": message, "url": connections.link_for(user)})


class DisconnectView(PaywallView):
    @extend_schema(
        operation_id="disconnectUser",
        summary="Disconnect an end user from their wallet",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(DisconnectAnswer, "What was done."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """From the next request on nothing is charged to the wallet; what is under way is still settled."""
        return self._disconnect(self.user_ref(request.query_params.get("user")))

    @extend_schema(
        operation_id="disconnectUserByPost",
        summary="Disconnect an end user from their wallet",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        request=DisconnectRequest,
        responses={
            200: OpenApiResponse(DisconnectAnswer, "What was done."),
            **errors(400, 401, 413, 415, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """As GET, for clients that change nothing by GET. The user may be in the body."""
        named = request.data.get("user") if isinstance(request.data, dict) else None
        return self._disconnect(self.user_ref(named or request.query_params.get("user")))

    def _disconnect(self, user: UserRef) -> Response:
        if not self.is_shared():
            return Response({"success": False, "message": "Users of this paywall need no connection."})
        connection = connections.live(user)
        if connection is None or not connections.end(connection):
            return Response({"success": False, "message": "The user is not connected."})
        return Response({"success": True, "message": "The user is disconnected."})


class MenuView(PaywallView):
    @extend_schema(
        operation_id="getUserMenu",
        summary="Links for an end user, to show in your app",
        tags=["User"],
        parameters=[UserQuery, *USER_HEADERS],
        responses={200: OpenApiResponse(MenuAnswer, "The links."), **errors(400, 401, 503)},
    )
    def get(self, request: Request) -> Response:
        """What there is to do for this user now: connect, or top up and, in shared mode, see their wallet."""
        user = self.user_ref(request.query_params.get("user"))
        is_shared = self.is_shared()
        if is_shared and not connections.live(user):
            items = [_item("connect", "Connect your wallet", connections.link_for(user))]
        else:
            items = [_item("topup", "Add money", topups.link_of(user))]
            if is_shared:
                items.append(_item("wallet", "Your wallet", f"{settings.PUBLIC_URL}/wallet"))
        return Response({"connected": not is_shared or items[0]["key"] != "connect", "items": items})


def _connected(user: EndUser, message: str, since: Any = None) -> dict[str, Any]:
    return {
        "connected": True,
        "connectedUser": {
            "paywallKeyId": user.paywall.public_id,
            "userId": user.public_id,
            "externalUserId": user.external_id,
            "createdAt": (since or user.created_at).isoformat(),
        },
        "message": message,
    }


def _item(key: str, title: str, url: str) -> dict[str, str]:
    return {"key": key, "title": title, "url": url}
