"""What one end user may do."""

from typing import Any, Unpack

from paywalls import rules
from paywalls.errors import InvalidSetting
from paywalls.models import EndUser
from paywalls.models.limits import ANY
from paywalls.services.limits import RateSettings
from paywalls.services.writing import write_changes

# A server process keeps the limits of these users in memory, for every paywall that it serves.
MAX_LIMITED_USERS = 10_000


class UserSettings(RateSettings, total=False):
    """What an end user may do; None is what the paywall says."""

    max_output_tokens: int | None
    allowed_models: list[str] | None


def check_user(user: EndUser, **settings: Unpack[UserSettings]) -> dict[str, Any]:
    """The limits that the user would have. Raises InvalidSetting, also where too many users have their own."""
    stored = rules.obeyed(rules.USER, settings)
    if any(stored.values()) and not EndUser.objects.filter(ANY, pk=user.pk).exists():
        others = EndUser.objects.filter(ANY, paywall=user.paywall_id).count()
        if others >= MAX_LIMITED_USERS:
            raise InvalidSetting(
                f"can't be set: {MAX_LIMITED_USERS:,} users of this paywall have limits of their own, which is the "
                "most; change the paywall's limits instead"
            )
    return stored


def update_user(user: EndUser, **settings: Unpack[UserSettings]) -> bool:
    """Change the user's own limits; whether anything differed. Raises InvalidSetting."""
    return write_changes(user, check_user(user, **settings))
