"""Entitlements in a document of `manage.py apply`: its list `entitlements`, of the document's tenant."""

from collections.abc import Sequence

from ledger.entitlements import services
from ledger.entitlements.rules import Limit
from ledger.entitlements.services import InvalidLimit
from ledger.models import Entitlement
from ledger.models.entitlement import MAX_FEATURE_ID
from paywalls import rules
from paywalls.configuration.parts import Listed, Part
from paywalls.configuration.sections import Missing, Section
from paywalls.errors import InvalidSetting
from paywalls.models import Tenant
from paywalls.models.enduser import MAX_EXTERNAL_ID

_KEYS = {"feature_id", "user_id", "limit_type", "limit_value", "period"}
# What a limit calls its parts, and the document.
_NAMES = {"limitValue": "limit_value"}


def _read(at: Section) -> Listed | None:
    feature = at.text("feature_id", rules.line(MAX_FEATURE_ID))
    user = at.text("user_id", rules.line(MAX_EXTERNAL_ID)) if at.has("user_id") else ""
    kind = at.text("limit_type", rules.one_of(*Entitlement.LimitType.values))
    period = at.text(
        "period", rules.one_of(*Entitlement.Period.values), default=Entitlement.Period.TOTAL.value
    )
    value = at.whole("limit_value", _uses) if at.has("limit_value") else None
    if isinstance(feature, Missing) or isinstance(user, Missing) or isinstance(value, Missing):
        return None
    if isinstance(kind, Missing) or isinstance(period, Missing):
        return None
    try:
        return Listed((feature, user), services.checked_limit(kind, value, period))
    except InvalidLimit as fault:
        at.fault(_NAMES.get(fault.field, ""), fault.message)
        return None


def _uses(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        raise InvalidSetting("must be a whole number of uses, without quotes")
    return count


def _write(tenant: Tenant, entries: Sequence[Listed]) -> None:
    known = {(row.feature_id, row.user_id): row for row in Entitlement.objects.filter(tenant=tenant)}
    for entry in entries:
        limit: Limit = entry.settings
        row, (feature, user) = known.get(entry.name), entry.name
        if row is None:
            services.create(tenant.pk, feature, limit, user_id=user, metadata={})
        elif Limit(row.limit_type, row.limit_value, row.period) != limit:
            services.change(row, limit, row.metadata)


PART = Part("entitlements", _KEYS, "feature_id", _read, _write)
