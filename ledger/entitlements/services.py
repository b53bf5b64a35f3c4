"""Entitlements made, changed and removed. They hold from the next check on; what was used so far counts."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from ledger.entitlements.rules import NONE, Limit
from ledger.models import Entitlement

# Far from the end of a BIGINT, so that counters don't overflow.
MAX_LIMIT = 10**15


class InvalidLimit(ValueError):
    """A limit that can't be; `field` is the contract's name of what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class EntitlementExists(Exception):
    """The user (or everybody) has an entitlement for this feature, which can be changed instead."""

    def __init__(self, existing: uuid.UUID) -> None:
        super().__init__(f"there is an entitlement for this user and feature, {existing}: change that one")
        self.existing = existing


def checked_limit(limit_type: str, value: int | None, period: str | None) -> Limit:
    """A limit whose parts fit together. HARD and SOFT need a value and count for good where no period is given.

    Raises InvalidLimit.
    """
    if limit_type == NONE:
        return Limit(limit_type, None, period or Entitlement.Period.TOTAL)
    if value is None:
        raise InvalidLimit("limitValue", f"a {limit_type} limit needs a number of uses")
    if not 0 <= value <= MAX_LIMIT:
        raise InvalidLimit("limitValue", f"must be between 0 and {MAX_LIMIT}")
    return Limit(limit_type, value, period or Entitlement.Period.TOTAL)


def create(
    tenant_id: uuid.UUID, feature_id: str, limit: Limit, *, user_id: str = "", metadata: dict[str, Any]
) -> Entitlement:
    """An entitlement of one end user, or with no `user_id` of each that has none. Raises EntitlementExists."""
    try:
        with transaction.atomic():
            return Entitlement.objects.create(
                tenant_id=tenant_id,
                user_id=user_id,
                feature_id=feature_id,
                limit_type=limit.type,
                limit_value=limit.value,
                period=limit.period,
                metadata=metadata,
            )
    except IntegrityError:
        existing = Entitlement.objects.filter(tenant_id=tenant_id, user_id=user_id, feature_id=feature_id)
        if key := existing.values_list("pk", flat=True).first():
            raise EntitlementExists(key) from None
        raise


def change(entitlement: Entitlement, limit: Limit, metadata: dict[str, Any]) -> None:
    """Give an entitlement another limit and other metadata."""
    entitlement.limit_type = limit.type
    entitlement.limit_value = limit.value
    entitlement.period = limit.period
    entitlement.metadata = metadata
    entitlement.save(update_fields=["limit_type", "limit_value", "period", "metadata"])
