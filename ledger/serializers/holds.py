"""What the hold endpoints read and answer."""

from typing import Any

from rest_framework import serializers

from ledger.serializers.fields import AmountField, MetadataField, UserField
from paywalls.models.enduser import MAX_EXTERNAL_ID

DEFAULT_SECONDS, MAX_SECONDS = 600, 24 * 3600


class HoldRequest(serializers.Serializer[Any]):
    """How much of whose balance to reserve, and for how long."""

    user = UserField(
        required=False,
        allow_null=True,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers; required without one.",
    )
    amount = AmountField(help_text="US dollars, at most 9 decimals: the most that can be captured.")
    seconds = serializers.IntegerField(
        default=DEFAULT_SECONDS,
        min_value=1,
        max_value=MAX_SECONDS,
        help_text="When neither a capture nor a release has come by then, the hold expires and frees the amount.",
    )


class HoldAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField(help_text="False where the balance doesn't cover the amount.")
    id = serializers.CharField(required=False, help_text="The hold, such as `hld_018f…`.")
    expiresAt = serializers.DateTimeField(required=False)
    message = serializers.CharField(
        required=False, help_text="Of a refused hold: a text to show as it is. It holds the top-up link."
    )


class CaptureRequest(serializers.Serializer[Any]):
    """What to charge of a hold."""

    amount = AmountField(
        required=False, help_text="US dollars, at most what is held; all of it where no amount is given."
    )
    metadata = MetadataField(
        required=False, help_text="A JSON object of at most 16 KB, kept with the ledger entry."
    )


class CaptureAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    captured = serializers.CharField(help_text="What was charged, a decimal string of US dollars.")
    activityId = serializers.CharField(help_text="The ledger entry.")


class ReleaseAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
