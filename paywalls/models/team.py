"""Teams: end users of a tenant who spend from one wallet."""

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.enduser import MAX_EXTERNAL_ID, EndUser
from paywalls.models.tenant import Tenant


class Team(Row):
    """A group with a wallet of its own. `external_id` is the app's own id for it, opaque to us."""

    public_kind = "team"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="teams")
    external_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    name = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="team_unique_in_tenant"),
            models.CheckConstraint(condition=~Q(external_id=""), name="team_id_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class TeamMember(Row):
    """An end user in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey(EndUser, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="team_member_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"
