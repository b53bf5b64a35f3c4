"""The tables of who sells what to whom. One idea a file."""

from paywalls.models.catalogue import PaywallModel, Provider
from paywalls.models.enduser import EndUser
from paywalls.models.paywall import Paywall, PaywallKey
from paywalls.models.tenant import Tenant

__all__ = ["EndUser", "Paywall", "PaywallKey", "PaywallModel", "Provider", "Tenant"]
