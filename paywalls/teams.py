"""Teams and their members."""

import uuid
from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from config import ids
from config.errors import Conflict
from config.sql import Statement, array
from paywalls import identity
from paywalls.models import EndUser, Team, TeamMember, Tenant
from paywalls.tenants import home_of


def create(tenant: Tenant, external_id: str, name: str = "") -> Team:
    """A new team. Raises Conflict where the tenant has one of this id, InvalidUser for an id that can't be one."""
    checked = identity.check_external_id(external_id, "teamId")
    try:
        with transaction.atomic():
            return Team.objects.create(tenant=tenant, external_id=checked, name=name)
    except IntegrityError:
        raise Conflict("teamId: there is a team of this id.", code="team_exists") from None


def add_member(team: Team, user_id: str) -> None:
    """Put an end user of the tenant's home into the team, making them where they are unknown; again is no fault."""
    checked = identity.check_external_id(user_id, "userId")
    user, _ = EndUser.objects.get_or_create(paywall=home_of(team.tenant), external_id=checked)
    TeamMember.objects.get_or_create(team=team, user=user)


def remove_member(team: Team, user_id: str) -> bool:
    """Take an end user out of the team; whether they were in it."""
    removed, _ = TeamMember.objects.filter(team=team, user__external_id=user_id).delete()
    return bool(removed)


def insert_missing(tenant_id: uuid.UUID, external_ids: Collection[str]) -> Statement:
    """Make the teams that are not there yet, in one order, so that batches can't deadlock."""
    names = sorted(external_ids)
    return Statement(
        """
        INSERT INTO paywalls_team (id, tenant_id, external_id, name)
        SELECT id, %s, external_id, '' FROM unnest(%s::uuid[], %s::text[]) AS new(id, external_id)
        ON CONFLICT (tenant_id, external_id) DO NOTHING
        """,
        (tenant_id, array(ids.new() for _ in names), array(names)),
        returns=False,
    )


def delete(team: Team) -> None:
    """Remove a team that never had a wallet. Raises Conflict: what was spent is not forgotten."""
    try:
        team.delete()
    except ProtectedError:
        raise Conflict(
            "The team has a wallet, whose history stays; take its members out instead.",
            code="team_has_a_wallet",
        ) from None
