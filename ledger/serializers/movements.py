"""What the balance, deposit and charge endpoints read and answer."""

from typing import Any

from rest_framework import serializers

from ledger.serializers.fields import AmountField, MetadataField, UserField
from paywalls.models.enduser import MAX_EXTERNAL_ID


class MovementRequest(serializers.Serializer[Any]):
    """A deposit or a charge: who, how much, and what the app wants to remember about it."""

    user = UserField(
        required=False,
        allow_null=True,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers; required without one.",
    )
    amount = AmountField(help_text="US dollars, at most 9 decimals.")
    metadata = MetadataField(
        required=False, help_text="A JSON object of at most 16 KB, kept with the ledger entry."
    )


class BalanceAnswer(serializers.Serializer[Any]):
    balance = serializers.CharField(
        help_text="What can be spent now, in nano-dollars (10^-9 USD), as an integer string. "
        "Below zero is debt."
    )
    balanceFormatted = serializers.CharField(help_text='The same as people read it, such as "$12.50".')


class TopUpAnswer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="A hosted page where this end user adds money. It expires.")


class DepositAnswer(serializers.Serializer[Any]):
    balance = serializers.CharField(
        help_text="The balance right after this deposit, in nano-dollars, as an integer string. "
        "What requests under way have reserved is not taken off."
    )
    balanceFormatted = serializers.CharField(help_text='The same as people read it, such as "$12.50".')
    activityId = serializers.CharField(help_text="The ledger entry, such as `act_018f…`.")


class ChargeAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField(help_text="False where the balance doesn't cover the amount.")
    activityId = serializers.CharField(required=False, help_text="The ledger entry of a charge that stands.")
    message = serializers.CharField(
        required=False, help_text="Of a refused charge: a text to show as it is. It holds the top-up link."
    )
