"""What the ledger's endpoints share: the key's paywall, the end user, and the ledger's refusals as answers."""

from collections.abc import Callable
from typing import Any

from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from config.errors import ApiError, Conflict, Unavailable
from ledger import idempotency, services, topups
from ledger.errors import (
    BalanceTooLarge,
    Contention,
    HoldNotOpen,
    InsufficientFunds,
    SourceReused,
    SpendLimitReached,
)
from paywalls import identity
from paywalls.models import Paywall
from paywalls.users import UserRef


class PaywallView(APIView):
    """An endpoint of one paywall, whose key the request carries."""

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
            case HoldNotOpen():
                exc = Conflict(f"The hold is {exc.state or 'unknown'}.", code="hold_not_open")
        return super().handle_exception(exc)


class MoneyView(PaywallView):
    """A POST that moves or reserves money, once per Idempotency-Key."""

    def check_mode(self) -> None:
        """Raises ApiError where this paywall's balances are not the app's to change."""
        mode = self.paywall().mode
        if mode != Paywall.Mode.DEFAULT:
            raise ApiError(
                f"This paywall is in {mode} mode: the API can't change its balances.",
                status=403,
                code="wrong_mode",
            )

    def read(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """What the body says. Raises ApiError or ValidationError."""
        self.check_mode()
        body = serializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def once(self, endpoint: str, asked: dict[str, Any], effect: Callable[[str], dict[str, Any]]) -> Response:
        """The answer of `effect(source)`, or the one that this Idempotency-Key got before."""
        answer = idempotency.once(
            endpoint,
            self.paywall().id,
            self.request.headers.get("Idempotency-Key"),
            asked,
            lambda source: idempotency.Answer(effect(source)),
        )
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        return Response(answer.body, status=answer.status, headers=headers)

    def unpaid(self, user: UserRef, refusal: InsufficientFunds | SpendLimitReached) -> Response:
        """The answer where a user can't pay: 200, with a message to show as it is."""
        if isinstance(refusal, SpendLimitReached):
            message = f"Your spending limit for {self.paywall().name} is reached: {refusal}."
        else:
            url = topups.link_for(services.ensure_user(user))
            message = topups.invitation(self.paywall().name, url)
        return Response({"success": False, "message": message})
