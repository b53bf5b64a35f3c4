"""Which operator may do what, in which tenants."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paywalls.models import Membership
from paywalls.roles import MAY, Can, Role


@dataclass(frozen=True)
class Access:
    """What somebody may do: as a superuser everything, else by their role in each tenant."""

    everything: bool = False
    roles: Mapping[uuid.UUID, Role] | None = None

    def tenants(self, *needed: Can) -> list[uuid.UUID]:
        """The tenants in which all that is needed is allowed (not for superusers: theirs are all)."""
        return [tenant for tenant, role in (self.roles or {}).items() if MAY[role].issuperset(needed)]

    def may(self, *needed: Can, tenant: uuid.UUID | None = None) -> bool:
        """Whether all that is needed is allowed: in that tenant, or in any."""
        if self.everything:
            return True
        allowed = self.tenants(*needed)
        return tenant in allowed if tenant else bool(allowed)


NOTHING = Access()


def access_of(user: Any) -> Access:
    """What the user may do now; asked once for each object of a user, which lives as long as a request."""
    if not user.is_active or not user.is_staff:
        return NOTHING
    if user.is_superuser:
        return Access(everything=True)
    known = getattr(user, "_tollgate_access", None)
    if known is None:
        rows = Membership.objects.filter(user_id=user.pk).values_list("tenant_id", "role")
        known = user._tollgate_access = Access(roles={tenant: Role(role) for tenant, role in rows})
    return known
