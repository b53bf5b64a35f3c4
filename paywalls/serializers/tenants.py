"""Customers, keys and teams on the wire."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from config.wire import StrictText, envelope, stamp
from paywalls import tenantkeys
from paywalls.models import Scope, Team, Tenant, TenantKey, Tier
from paywalls.models.enduser import MAX_EXTERNAL_ID


class RegisterRequest(serializers.Serializer[Any]):
    name = StrictText(max_length=255)
    email = serializers.EmailField(max_length=254)
    tier = serializers.ChoiceField(Tier.choices, default=Tier.STARTER)
    invitationCode = StrictText(
        max_length=255, required=False, help_text="Where registration is by invitation."
    )


class Registered(serializers.Serializer[Any]):
    customerId = serializers.UUIDField()
    apiKey = serializers.CharField(help_text="With all scopes. It can't be read again.")
    name = serializers.CharField()
    email = serializers.EmailField()
    tier = serializers.ChoiceField(Tier.choices)
    createdAt = serializers.DateTimeField()


RegisterAnswer = envelope("RegisterAnswer", Registered())


class Limits(serializers.Serializer[Any]):
    requestsPerMinute = serializers.IntegerField(allow_null=True)
    monthlyEvents = serializers.IntegerField(allow_null=True)


class Customer(serializers.Serializer[Any]):
    customerId = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()
    tier = serializers.ChoiceField(Tier.choices)
    creditsPerUsd = serializers.IntegerField()
    uncoveredUsage = serializers.ChoiceField(Tenant.Uncovered.choices)
    limits = Limits()
    createdAt = serializers.DateTimeField()


CustomerAnswer = envelope("CustomerAnswer", Customer())


class KeyRequest(serializers.Serializer[Any]):
    name = StrictText(max_length=64, allow_blank=True, default="")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices), min_length=1, max_length=len(Scope), required=False
    )
    expiresAt = serializers.DateTimeField(required=False, allow_null=True)


class RotateKeyRequest(serializers.Serializer[Any]):
    overlapSeconds = serializers.IntegerField(
        min_value=0,
        max_value=tenantkeys.MAX_OVERLAP_SECONDS,
        default=tenantkeys.OVERLAP_SECONDS,
        help_text="How long the old key works beside the new one.",
    )


class Key(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices))
    lastFour = serializers.CharField()
    createdAt = serializers.DateTimeField()
    expiresAt = serializers.DateTimeField(allow_null=True)
    revokedAt = serializers.DateTimeField(allow_null=True)
    lastUsedAt = serializers.DateTimeField(allow_null=True, help_text="To a few minutes.")


class IssuedKey(Key):
    apiKey = serializers.CharField(help_text="It can't be read again.")


KeyAnswer = envelope("KeyAnswer", Key())


IssuedKeyAnswer = envelope("IssuedKeyAnswer", IssuedKey())


KeysAnswer = envelope("KeysAnswer", Key(many=True))


class TeamRequest(serializers.Serializer[Any]):
    teamId = StrictText(max_length=MAX_EXTERNAL_ID)
    name = StrictText(max_length=255, allow_blank=True, default="")


class TeamPatch(serializers.Serializer[Any]):
    name = StrictText(max_length=255, allow_blank=True)


class MemberRequest(serializers.Serializer[Any]):
    userId = StrictText(max_length=MAX_EXTERNAL_ID)


class TeamJson(serializers.Serializer[Any]):
    teamId = serializers.CharField()
    name = serializers.CharField()
    members = serializers.ListField(child=serializers.CharField(), help_text="The users' ids.")
    createdAt = serializers.DateTimeField()


TeamAnswer = envelope("TeamAnswer", TeamJson())


TeamsAnswer = envelope("TeamsAnswer", TeamJson(many=True), nextCursor=serializers.CharField(allow_null=True))


def key_json(key: TenantKey) -> dict[str, Any]:
    """A key, but for its text."""
    moments: dict[str, datetime | None] = {
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
        "lastUsedAt": key.last_used_at,
    }
    return {
        "id": str(key.pk),
        "name": key.name,
        "scopes": key.scopes,
        "lastFour": key.last_four,
        **{name: stamp(moment) for name, moment in moments.items()},
    }


def team_json(team: Team) -> dict[str, Any]:
    """A team with the ids of its members."""
    return {
        "teamId": team.external_id,
        "name": team.name,
        "members": sorted(member.user.external_id for member in team.members.all()),
        "createdAt": stamp(team.created_at),
    }
