"""What the ledger's endpoints share: the key's paywall, the end user, and the ledger's refusals as answers."""

from collections.abc import Callable
from typing import Any

from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from config.errors import ApiError, Conflict, Unavailable
from ledger import idempotency, topups
from ledger.errors import (
    BalanceTooLarge,
    Blocked,
    Contention,
    HoldNotOpen,
    InsufficientFunds,
    NotConnected,
    SourceReused,
    SpendLimitReached,
)
from paywalls import callers, connections
from paywalls.authentication import KeyHolder
from paywalls.callers import CallerRules
from paywalls.errors import UserBlocked
from paywalls.models import Paywall
from paywalls.users import UserRef
from paywalls.wording import Case, Wording

# Why a user can't pay, in a way that they can mend.
UNPAID = (InsufficientFunds, NotConnected, SpendLimitReached)
Unpaid = InsufficientFunds | NotConnected | SpendLimitReached


class PaywallView(APIView):
    """An endpoint of one paywall, whose key the request carries."""

    def paywall(self) -> Paywall:
        assert isinstance(self.request.auth, Paywall)
        return self.request.auth

    def is_shared(self) -> bool:
        """Whether its users' balances are their wallets."""
        return self.paywall().mode == Paywall.Mode.SHARED

    def user_ref(self, explicit: str | None) -> UserRef:
        """The end user of this request. Raises identity.MissingUser, InvalidUser or callers.AnotherUser."""
        named = (self.request.headers.get(name) for name in CallerRules.of(self.paywall()).user_headers)
        # Django reads header bytes as Latin-1; this gives the bytes back.
        raw = (value.encode("latin-1") if value is not None else None for value in named)
        holder = self.request.user
        subject = holder.user if isinstance(holder, KeyHolder) else None
        return UserRef(self.paywall().id, callers.user_of(subject, explicit, raw))

    def handle_exception(self, exc: Exception) -> Response:
        match exc:
            case Contention():
                exc = Unavailable("The ledger is busy. Nothing was done; send the same request again.")
            case Blocked():
                exc = UserBlocked(self.paywall().name)
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
        if self.is_shared():
            raise ApiError(
                "This paywall is in shared mode: its users' balances are their wallets, not the API's to change.",
                status=403,
                code="wrong_mode",
            )

    def read(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """What the body says. Raises ApiError or ValidationError."""
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

    def unpaid(self, user: UserRef, refusal: "Unpaid") -> Response:
        """The answer where a user can't pay: 200, with a message to show as it is."""
        if isinstance(refusal, SpendLimitReached):
            message = f"Your spending limit for {self.paywall().name} is reached: {refusal}."
        elif isinstance(refusal, NotConnected):
            url = connections.link_for(user)
            message = Wording.of(self.paywall()).text(Case.AUTHORIZATION_REQUIRED, url)
        else:
            url = topups.link_of(user)
            message = Wording.of(self.paywall()).text(Case.INSUFFICIENT_FUNDS, url)
        return Response({"success": False, "message": message})
