"""The tables of who sells what to whom. One idea a file."""

from paywalls.models.audit import AuditEntry
from paywalls.models.catalogue import PaywallModel, Provider
from paywalls.models.connection import AuthorizationRequest, Connection
from paywalls.models.enduser import EndUser
from paywalls.models.operator import Membership
from paywalls.models.paywall import Paywall, PaywallKey
from paywalls.models.plan import Plan
from paywalls.models.playground import Playground, PlaygroundDay
from paywalls.models.providercost import ProviderCost
from paywalls.models.routes import Route
from paywalls.models.secondfactor import SecondFactor
from paywalls.models.session import Session
from paywalls.models.team import Team, TeamMember
from paywalls.models.tenant import Tenant, Tier, TierLimits
from paywalls.models.tenantkey import Scope, TenantKey
from paywalls.models.walletuser import SignInCode, WalletUser

__all__ = [
    "AuditEntry",
    "AuthorizationRequest",
    "Connection",
    "EndUser",
    "Membership",
    "Paywall",
    "PaywallKey",
    "PaywallModel",
    "Plan",
    "Playground",
    "PlaygroundDay",
    "Provider",
    "ProviderCost",
    "Route",
    "Scope",
    "SecondFactor",
    "Session",
    "SignInCode",
    "Team",
    "TeamMember",
    "Tenant",
    "TenantKey",
    "Tier",
    "TierLimits",
    "WalletUser",
]
