"""What the endpoints of withdrawals are asked and answer."""

from typing import Any

from rest_framework import serializers

from ledger.models import Withdrawal
from ledger.serializers.fields import AmountField


class WithdrawalRequest(serializers.Serializer[Any]):
    amount = AmountField(help_text="At most what the tenant has earned.")


class WithdrawalAnswer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Such as `wdr_018f…`.")
    amount = serializers.CharField(help_text="US dollars.")
    state = serializers.ChoiceField(Withdrawal.State.values)
    reference = serializers.CharField(help_text="The payment's, once it is paid.")
    reason = serializers.CharField(help_text="Why it was refused.")
    createdAt = serializers.DateTimeField()
    paidAt = serializers.DateTimeField(allow_null=True)


class WithdrawalsAnswer(serializers.Serializer[Any]):
    available = serializers.CharField(help_text="US dollars that can be withdrawn now.")
    withdrawals = WithdrawalAnswer(many=True, help_text="The latest 100, newest first.")
