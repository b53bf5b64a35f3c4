"""What the operators of a tenant may do: the one table that pages, tests and docs follow."""

from collections.abc import Mapping

from django.db import models


class Role(models.TextChoices):
    """What an operator is in a tenant."""

    OWNER = "owner", "Owner"
    DEVELOPER = "developer", "Developer"
    FINANCE = "finance", "Finance"
    SUPPORT = "support", "Support"
    READ_ONLY = "read_only", "Read-only"


class Can(models.TextChoices):
    """A permission. Admin actions name them: `@action(permissions=["money"])`."""

    LOOK = "look", "See the tenant's pages, and export their rows"
    SETTINGS = "settings", "Paywalls, providers, entitlements, Stripe"
    PRICES = "prices", "Models, prices, plans, burn tables"
    KEYS = "keys", "Issue, replace and revoke keys"
    WEBHOOKS = "webhooks", "Webhook subscriptions; send deliveries again"
    USERS = "users", "Block end users, set their limits, make their links"
    GRANTS = "grants", "Grant credit"
    MONEY = "money", "Charge, refund, adjust, bill, reconcile, withdraw"
    TEAM = "team", "Invite operators and set their roles; the tenant's own settings"
    AUDIT = "audit", "Read and export the audit log"


# What a role may do. Superusers may do everything, in every tenant, and only they see what is the installation's own.
MAY: Mapping[Role, frozenset[Can]] = {
    Role.OWNER: frozenset(Can),
    Role.DEVELOPER: frozenset({Can.LOOK, Can.SETTINGS, Can.PRICES, Can.KEYS, Can.WEBHOOKS}),
    Role.FINANCE: frozenset({Can.LOOK, Can.PRICES, Can.GRANTS, Can.MONEY, Can.AUDIT}),
    Role.SUPPORT: frozenset({Can.LOOK, Can.USERS, Can.GRANTS}),
    Role.READ_ONLY: frozenset({Can.LOOK}),
}


def table() -> str:
    """Roles by permissions as the Markdown table of docs/operators.md."""
    head = ["| |", *(f" {role.label} |" for role in Role)]
    rule = ["|---|", *(":---:|" for _ in Role)]
    rows = [
        "".join([f"| {can.label} |", *(" yes |" if can in MAY[role] else " |" for role in Role)])
        for can in Can
    ]
    return "\n".join(["".join(head), "".join(rule), *rows])
