"""What operators do: make and change tenants, paywalls, providers and models.

Each `check_*` refuses (InvalidSetting, which names the setting) and answers the settings as they are stored;
the writes check first by themselves. An update writes only what differs, so that doing it again moves
nothing: neither a row nor the paywall's config_version.
"""

from paywalls.services.limits import RateSettings, SpendSettings
from paywalls.services.models import (
    ModelSettings,
    OptionalModelSettings,
    check_model,
    create_model,
    update_model,
)
from paywalls.services.paywalls import (
    OptionalPaywallSettings,
    PaywallLimits,
    PaywallSettings,
    check_paywall,
    create_paywall,
    update_paywall,
)
from paywalls.services.providers import (
    ProviderSettings,
    Timeouts,
    check_provider,
    create_provider,
    update_provider,
)
from paywalls.services.tenants import TenantSettings, check_tenant, create_tenant, update_tenant
from paywalls.services.users import UserSettings, check_user, update_user

__all__ = [
    "ModelSettings",
    "OptionalModelSettings",
    "OptionalPaywallSettings",
    "PaywallLimits",
    "PaywallSettings",
    "ProviderSettings",
    "RateSettings",
    "SpendSettings",
    "TenantSettings",
    "Timeouts",
    "UserSettings",
    "check_model",
    "check_paywall",
    "check_provider",
    "check_tenant",
    "check_user",
    "create_model",
    "create_paywall",
    "create_provider",
    "create_tenant",
    "update_model",
    "update_paywall",
    "update_provider",
    "update_tenant",
    "update_user",
]
