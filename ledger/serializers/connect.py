"""What the endpoints of connections are asked and answer."""

from typing import Any

from rest_framework import serializers

from ledger.serializers.fields import UserField
from paywalls.models.enduser import MAX_EXTERNAL_ID


class ConnectedUser(serializers.Serializer[Any]):
    paywallKeyId = serializers.CharField(help_text="The paywall's id.")
    userId = serializers.CharField(help_text="The user's id in this paywall, such as `usr_018f…`.")
    externalUserId = serializers.CharField()
    createdAt = serializers.DateTimeField()


class ConnectAnswer(serializers.Serializer[Any]):
    connected = serializers.BooleanField()
    message = serializers.CharField()
    connectedUser = ConnectedUser(required=False, help_text="Where they are connected.")
    url = serializers.CharField(required=False, help_text="Where they connect, if they aren't.")


class DisconnectRequest(serializers.Serializer[Any]):
    user = UserField(required=False, max_length=MAX_EXTERNAL_ID)


class DisconnectAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    message = serializers.CharField()


class MenuItem(serializers.Serializer[Any]):
    key = serializers.ChoiceField(["connect", "topup", "wallet"])
    title = serializers.CharField()
    url = serializers.CharField()


class MenuAnswer(serializers.Serializer[Any]):
    connected = serializers.BooleanField()
    items = MenuItem(many=True)
