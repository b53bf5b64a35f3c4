"""Credits on the wire: exact numbers, in the tenant's credits."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from config.wire import StrictText, envelope
from ledger.serializers.fields import MetadataField
from ledger.serializers.metering import Number
from paywalls.models.enduser import MAX_EXTERNAL_ID


class CreditsField(Number):
    """A JSON number of credits, exact as typed. The reader gives floats, which print as what they came from."""

    def __init__(self, *, least: Decimal | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._least = least

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError("must be a number")
        number = Decimal(str(data))
        if number <= 0 or number > 10**15:
            raise serializers.ValidationError("must be above 0 and at most 10^15")
        if self._least is not None and number < self._least:
            raise serializers.ValidationError(f"must be at least {self._least}")
        return number


class PurchaseRequest(serializers.Serializer[Any]):
    userId = StrictText(max_length=MAX_EXTERNAL_ID, help_text="An unknown user is made.")
    amount = CreditsField(help_text="Credits.")
    purchasePrice = CreditsField(help_text="US dollars that the user paid.")
    expiresAt = serializers.DateTimeField(required=False)


class GrantRequest(serializers.Serializer[Any]):
    userId = StrictText(max_length=MAX_EXTERNAL_ID, required=False)
    teamId = StrictText(
        max_length=MAX_EXTERNAL_ID, required=False, help_text="Neither a user nor a team: the customer."
    )
    amount = CreditsField(least=Decimal(1), help_text="Credits.")
    reason = StrictText(max_length=500, allow_blank=True, required=False)
    metadata = MetadataField(required=False)
    idempotencyKey = StrictText(max_length=255, required=False)
    expiresAt = serializers.DateTimeField(required=False)


class TransactionsPage(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=2**53 - 1, default=0)


class CustomerBalance(serializers.Serializer[Any]):
    balance = serializers.CharField()
    reservedBalance = serializers.CharField()
    availableBalance = serializers.CharField()
    currency = serializers.CharField()


class UserCredits(serializers.Serializer[Any]):
    balance = Number()
    reserved = Number()
    available = Number()
    expiresAt = serializers.DateTimeField(allow_null=True, help_text="When the first of them expire.")


class Purchase(serializers.Serializer[Any]):
    transactionId = serializers.CharField()
    newBalance = Number()


class Grant(serializers.Serializer[Any]):
    transactionId = serializers.CharField()
    walletId = serializers.CharField()
    newBalance = serializers.CharField()
    amount = serializers.CharField()


class UserTransaction(serializers.Serializer[Any]):
    id = serializers.CharField()
    transactionType = serializers.ChoiceField(
        [(name, name) for name in ("PURCHASE", "GRANT", "BURN", "REFUND", "EXPIRATION")]
    )
    amount = Number(help_text="Burns are negative.")
    balanceBefore = Number()
    balanceAfter = Number()
    description = serializers.CharField(allow_null=True)
    createdAt = serializers.DateTimeField()


class Pagination(serializers.Serializer[Any]):
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    total = serializers.IntegerField()


BalanceAnswer = envelope("CustomerBalanceAnswer", CustomerBalance())
UserCreditsAnswer = envelope("UserCreditsAnswer", UserCredits())
PurchaseAnswer = envelope("PurchaseAnswer", Purchase())
GrantAnswer = envelope("GrantAnswer", Grant())
UserTransactionsAnswer = envelope(
    "UserTransactionsAnswer", UserTransaction(many=True), pagination=Pagination()
)
