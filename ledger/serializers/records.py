"""What the endpoints that read the books, and a wallet's settings, read and answer."""

from datetime import UTC, datetime, time
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config import ids
from ledger.models import Transfer
from ledger.serializers.fields import AmountField, UserField
from paywalls.models.enduser import MAX_EXTERNAL_ID


@extend_schema_field(OpenApiTypes.STR)
class MomentField(serializers.Field):
    """A date (its first moment, UTC) or a time with its zone."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            if day := parse_date(str(data)):
                return datetime.combine(day, time.min, UTC)
            if (moment := parse_datetime(str(data))) and moment.tzinfo:
                return moment
        except ValueError:
            pass
        raise serializers.ValidationError(
            "must be a date such as 2026-01-31, or a time with its zone such as 2026-01-31T12:00:00Z"
        )


@extend_schema_field(OpenApiTypes.STR)
class RequestIdField(serializers.Field):
    """A request's public id."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return ids.parse("request", str(data))
        except ValueError:
            raise serializers.ValidationError("must be a request's id such as req_018f…") from None


# `from` is a word of the language, so the fields that are named so are added by name.
_RANGE = {
    "from": MomentField(required=False, help_text="A date or time (UTC); what happened then is included."),
    "to": MomentField(required=False, help_text="A date or time (UTC); what happened then is left out."),
}


class _Transactions(serializers.Serializer[Any]):
    user = UserField(
        required=False,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers.",
    )
    kind = serializers.ChoiceField(Transfer.Kind.choices, required=False)
    requestId = RequestIdField(required=False, help_text="Only what this request moved.")
    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)
    cursor = serializers.RegexField(
        r"^[0-9]{1,18}$", required=False, help_text="`nextCursor` of the page before."
    )


class _Export(serializers.Serializer[Any]):
    format = serializers.ChoiceField(["csv", "jsonl"], default="csv")


TransactionsQuery = type("TransactionsQuery", (_Transactions,), dict(_RANGE))
ExportQuery = type("ExportQuery", (_Export,), dict(_RANGE))


class TransactionAnswer(serializers.Serializer[Any]):
    activityId = serializers.CharField()
    kind = serializers.ChoiceField(Transfer.Kind.choices)
    amount = serializers.CharField(help_text="US dollars as a decimal string; below zero where it was taken.")
    amountNano = serializers.CharField(help_text="The same in nano-dollars, an integer string.")
    balanceBefore = serializers.CharField()
    balanceAfter = serializers.CharField()
    balanceAfterNano = serializers.CharField()
    requestId = serializers.CharField(allow_null=True)
    reverses = serializers.CharField(
        allow_null=True, help_text="Of a refund or reversal: the entry that it takes back."
    )
    createdAt = serializers.DateTimeField()
    metadata = serializers.JSONField()


class TransactionsAnswer(serializers.Serializer[Any]):
    transactions = TransactionAnswer(many=True)
    nextCursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class AutoTopUpSettings(serializers.Serializer[Any]):
    amount = AmountField(help_text="US dollars to add when the balance falls below `lowBalance`.")
    monthLimit = AmountField(required=False, allow_null=True, help_text="The most to add in a month.")


class SettingsBody(serializers.Serializer[Any]):
    """A wallet's settings; what is left out is none."""

    dayLimit = AmountField(
        zero=True, required=False, allow_null=True, help_text="The most that a day may cost (UTC)."
    )
    monthLimit = AmountField(
        zero=True, required=False, allow_null=True, help_text="The most that a month may cost (UTC)."
    )
    lowBalance = AmountField(required=False, allow_null=True, help_text="Below it the balance counts as low.")
    autoTopUp = AutoTopUpSettings(required=False, allow_null=True)


class SettingsRequest(SettingsBody):
    user = UserField(
        required=False,
        allow_null=True,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers; required without one.",
    )
