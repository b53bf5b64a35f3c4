"""What the ledger's endpoints of the metering API share: its refusals as answers."""

from rest_framework.response import Response

from config.errors import ApiError, Conflict, Unavailable
from ledger.errors import BalanceTooLarge, Contention, SourceReused
from ledger.rating.credits import InvalidCredits
from ledger.rating.rules import InvalidRule
from paywalls.views.base import TenantView


class CreditView(TenantView):
    """An endpoint of a tenant that moves, counts or prices credits."""

    def handle_exception(self, exc: Exception) -> Response:
        match exc:
            case Contention():
                exc = Unavailable("The ledger is busy. Nothing was done; send the same request again.")
            case BalanceTooLarge():
                exc = ApiError(f"amount: {exc}", param="amount", code="balance_too_large")
            case InvalidCredits():
                exc = ApiError(f"amount: {exc}", param="amount", code="validation_error")
            case InvalidRule():
                path = f"rules.{exc.path}" if exc.path else "rules"
                exc = ApiError(f"{path}: {exc.message}", param=path, code="validation_error")
            case SourceReused():
                exc = Conflict("idempotencyKey: was used for another grant.", code="idempotency_key_reused")
        return super().handle_exception(exc)
