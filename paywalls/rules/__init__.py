"""What each setting may be.

A rule answers the value as it is stored, or raises InvalidSetting with a message that says what to change.
The tables name the rule of every setting; services, forms and the configuration file all use them.
Messages never repeat a value: it may hold a secret.
"""

from paywalls.rules.addresses import base_url, icon_url
from paywalls.rules.amounts import amount, credit_rate, dollars, parse_percent, percent
from paywalls.rules.choices import allowed_models, mode, one_of, surfaces, upstream_of, yes
from paywalls.rules.counts import MAX_LIMIT, limit, output_tokens, priority, seconds, weight
from paywalls.rules.prices import PRICE_PARTS, card, confirmed, tier_start, tiers
from paywalls.rules.rule import Rule, obeyed, optional
from paywalls.rules.tables import MODEL, PAYWALL, PROVIDER, RATES, ROUTE, SPEND, TENANT, USER
from paywalls.rules.text import email, line, prose, secret

__all__ = [
    "MAX_LIMIT",
    "MODEL",
    "PAYWALL",
    "PRICE_PARTS",
    "PROVIDER",
    "RATES",
    "ROUTE",
    "SPEND",
    "TENANT",
    "USER",
    "Rule",
    "allowed_models",
    "amount",
    "base_url",
    "card",
    "confirmed",
    "credit_rate",
    "dollars",
    "email",
    "icon_url",
    "limit",
    "line",
    "mode",
    "obeyed",
    "one_of",
    "optional",
    "output_tokens",
    "parse_percent",
    "percent",
    "priority",
    "prose",
    "seconds",
    "secret",
    "surfaces",
    "tier_start",
    "tiers",
    "upstream_of",
    "weight",
    "yes",
]
