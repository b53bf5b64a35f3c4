"""The rule of every setting, a table for each thing that is set."""

from collections.abc import Mapping

from paywalls.models import Tenant, Tier
from paywalls.rules.addresses import base_url, icon_url
from paywalls.rules.amounts import amount, credit_rate, percent
from paywalls.rules.choices import allowed_models, mode, one_of, surfaces, yes
from paywalls.rules.counts import limit, output_tokens, priority, seconds, weight
from paywalls.rules.prices import card, tiers
from paywalls.rules.rule import Rule, optional
from paywalls.rules.text import email, line, prose, secret

TENANT: Mapping[str, Rule] = {
    "name": line(255),
    "email": email,
    "credits_per_usd": credit_rate,
    "tier": one_of(*Tier.values),
    "uncovered_usage": one_of(*Tenant.Uncovered.values),
}
RATES: Mapping[str, Rule] = {
    "requests_per_minute": optional(limit),
    "tokens_per_minute": optional(limit),
    "concurrent_requests": optional(limit),
}
USER: Mapping[str, Rule] = {
    **RATES,
    "max_output_tokens": optional(output_tokens),
    "allowed_models": allowed_models,
}
SPEND: Mapping[str, Rule] = {
    "spend_per_day": optional(amount),
    "spend_per_month": optional(amount),
}
PAYWALL: Mapping[str, Rule] = {
    "name": line(255),
    "mode": mode,
    "description": prose(2_000),
    "icon_url": icon_url,
    "trial_credit": amount,
    "markup_percent": percent,
    **USER,
    **SPEND,
    "replay_answers": yes,
}
PROVIDER: Mapping[str, Rule] = {
    "name": line(64),
    "base_url": base_url,
    "api_key": secret,
    "surfaces": surfaces,
    "installation_pays": yes,
    "connect_seconds": optional(seconds),
    "first_byte_seconds": optional(seconds),
    "idle_seconds": optional(seconds),
    "total_seconds": optional(seconds),
}
ROUTE: Mapping[str, Rule] = {
    "upstream_model": line(128),
    "priority": priority,
    "weight": weight,
    "price": optional(card),
    "cost": optional(card),
}
MODEL: Mapping[str, Rule] = {
    "model_id": line(128),
    "upstream_model": line(128),
    "display_name": line(128, blank=True),
    "description": prose(2_000),
    "prompt_price": amount,
    "completion_price": amount,
    "cache_read_price": optional(amount),
    "cache_write_price": optional(amount),
    "request_price": amount,
    "minimum_price": amount,
    "image_price": amount,
    "tiers": tiers,
    "free": yes,
    "prompt_cost": optional(amount),
    "completion_cost": optional(amount),
    "cache_read_cost": optional(amount),
    "cache_write_cost": optional(amount),
    "request_cost": amount,
    "minimum_cost": amount,
    "image_cost": amount,
    "cost_tiers": tiers,
    "max_output_tokens": output_tokens,
    **RATES,
    **SPEND,
    "priority": priority,
    "weight": weight,
}
