"""What each setting may be.

A rule answers the value as it is stored, or raises InvalidSetting with a message that says what to change.
The tables at the end name the rule of every setting; services, forms and the configuration file all use them.
Messages never repeat a value: it may hold a secret.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from config import money
from config.money import MAX_AMOUNT, NANO
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Tenant, Tier
from paywalls.models.catalogue import MAX_SECONDS, SANDBOX_MODELS, SANDBOX_URL
from paywalls.pricing import MAX_TIERS
from paywalls.surfaces import SURFACES

Rule = Callable[[Any], Any]

MAX_MARKUP_PERCENT = 10_000
# With the highest price and markup, a request of this many tokens still costs less than a BIGINT holds.
MAX_OUTPUT_TOKENS = 10_000_000
# What a column of whole numbers holds.
MAX_LIMIT = 2_147_483_647
MAX_ALLOWED_MODELS = 100
# Priorities and weights of routes.
MAX_ORDER = 1_000
# What a price is made of, but for caches and tiers.
PRICE_PARTS = ("prompt", "completion", "request", "minimum", "image")
# No prompt is larger.
MAX_TIER_TOKENS = 100_000_000

_PERCENT = re.compile(r"\d{1,5}(\.\d{1,4})?", re.ASCII)
_PERCENT_MESSAGE = (
    f'must be a decimal string from "0" to "{MAX_MARKUP_PERCENT}", at most 4 decimals, as in "12.5"'
)
_URL_MESSAGE = f'must be "{SANDBOX_URL}", or an address such as "https://api.openai.com/v1"'


def _is_control(char: str) -> bool:
    """Control characters, and lone surrogates, which PostgreSQL can't store."""
    return unicodedata.category(char) in {"Cc", "Cs"}


def line(limit: int, *, blank: bool = False) -> Rule:
    """One line of at most `limit` characters, without the blanks around it."""

    def rule(text: str) -> str:
        text = text.strip()
        if not text and not blank:
            raise InvalidSetting("must not be empty")
        if len(text) > limit:
            raise InvalidSetting(f"must have at most {limit} characters (it has {len(text)})")
        if any(map(_is_control, text)):
            raise InvalidSetting("must be one line without control characters")
        return text

    return rule


def prose(limit: int) -> Rule:
    """A text of several lines and at most `limit` characters; it may be empty."""

    def rule(text: str) -> str:
        text = text.strip().replace("\r\n", "\n")
        if len(text) > limit:
            raise InvalidSetting(f"must have at most {limit} characters (it has {len(text)})")
        if any(_is_control(char) and char not in "\n\t" for char in text):
            raise InvalidSetting("must not hold control characters other than line breaks and tabs")
        return text

    return rule


def email(text: str) -> str:
    """An email address, in lower case: it is what a tenant is found by."""
    text = text.strip().lower()
    try:
        validate_email(text)
    except ValidationError:
        raise InvalidSetting('must be an email address such as "ops@acme.test"') from None
    if len(text) > 254:
        raise InvalidSetting("must have at most 254 characters")
    return text


def mode(text: str) -> str:
    """A paywall mode."""
    if text not in Paywall.Mode.values:
        raise InvalidSetting('must be "default" or "shared"')
    return text


def icon_url(text: str) -> str:
    """An https address of a picture, or none. It goes into a page's Content-Security-Policy."""
    text = text.strip()
    if text and not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[!-:<=>-~]*)?", text):
        raise InvalidSetting('must be an https address of a picture, such as "https://acme.test/icon.png"')
    if len(text) > 2_048:
        raise InvalidSetting("must have at most 2048 characters")
    return text


def one_of(*names: str) -> Rule:
    """One of these words."""

    def rule(text: str) -> str:
        if text not in names:
            raise InvalidSetting(f"must be one of {', '.join(names)}")
        return str(text)

    return rule


def amount(nano: int) -> int:
    """Nano-dollars from 0 to the most that one price may be."""
    if isinstance(nano, bool) or not isinstance(nano, int):
        raise InvalidSetting("must be a whole number of nano-dollars")
    if not 0 <= nano <= MAX_AMOUNT:
        raise InvalidSetting(f"must be from 0 to {MAX_AMOUNT // NANO} US dollars")
    return nano


def dollars(text: Any) -> int:
    """The nano-dollars of a decimal string such as "12.50"."""
    try:
        return money.parse(text)
    except money.InvalidAmount as error:
        raise InvalidSetting(str(error)) from None


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return lambda value: None if value is None else rule(value)


def tier_start(count: int) -> int:
    """The size of a prompt above which a tier's prices apply."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_TIER_TOKENS:
        raise InvalidSetting(f"must be a whole number of tokens from 1 to {MAX_TIER_TOKENS}")
    return count


def tiers(cards: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Prices by the size of the prompt, as they are stored: a cache price that is absent is left out."""
    if not isinstance(cards, list) or len(cards) > MAX_TIERS:
        raise InvalidSetting(f"must be a list of at most {MAX_TIERS} tiers")
    stored = [{name: value for name, value in card.items() if value is not None} for card in cards]
    for card in stored:
        tier_start(card.get("above", 0))
        for name in {"prompt", "completion", *card} - {"above"}:
            amount(card.get(name, -1))
    if any(later["above"] <= earlier["above"] for earlier, later in pairwise(stored)):
        raise InvalidSetting("must go up: each tier is above more tokens than the one before")
    return stored


def yes(value: bool) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidSetting("must be true or false")
    return value


def confirmed(prices: Mapping[str, Any]) -> None:
    """Zero is a price where the operator confirms it, and free is what has no other price."""
    parts = ("prompt_price", "completion_price", "request_price", "minimum_price", "image_price")
    if prices["free"]:
        if any(prices[name] for name in (*parts, "cache_read_price", "cache_write_price", "tiers")):
            raise InvalidSetting("must not be set for a model that has a price", param="free")
    elif not any(prices[name] for name in parts):
        raise InvalidSetting("must be set to true where every price is zero, to confirm it", param="free")


def parse_percent(text: str) -> Decimal:
    """The percentage in a decimal string such as "20" or "12.5"."""
    if not _PERCENT.fullmatch(text):
        raise InvalidSetting(_PERCENT_MESSAGE)
    return percent(Decimal(text))


def percent(value: Decimal) -> Decimal:
    """A markup: 0 to 10,000 percent with at most 4 decimals."""
    if not value.is_finite() or not 0 <= value <= MAX_MARKUP_PERCENT or value != round(value, 4):
        raise InvalidSetting(_PERCENT_MESSAGE)
    return value


def output_tokens(count: int) -> int:
    """The most tokens that one answer may have."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_OUTPUT_TOKENS:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_OUTPUT_TOKENS}")
    return count


def limit(count: int) -> int:
    """A limit of requests or tokens; none is None, not zero."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_LIMIT:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_LIMIT}; leave it out for no limit")
    return count


def allowed_models(ids: list[Any] | None) -> list[str] | None:
    """The models that an end user may ask: ids, or beginnings that end in `*`. None, or an empty list, is all."""
    if not ids:
        return None
    if len(ids) > MAX_ALLOWED_MODELS:
        raise InvalidSetting(f"must list at most {MAX_ALLOWED_MODELS} models")
    if not all(isinstance(model, str) for model in ids):
        raise InvalidSetting("must list the ids of models, each in quotes")
    stored = [line(128)(model) for model in ids]
    if any("*" in model[:-1] for model in stored):
        raise InvalidSetting('may hold "*" only at the end of an id, as in "openai/*"')
    return list(dict.fromkeys(stored))


def priority(count: int) -> int:
    """The place of a route: lower ones are tried first."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_ORDER:
        raise InvalidSetting(f"must be a whole number from 0 to {MAX_ORDER}")
    return count


def weight(count: int) -> int:
    """The share of a route among those of its priority."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_ORDER:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_ORDER}")
    return count


def seconds(count: float) -> float:
    """A time-out; more than zero, and at most a day."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 < count <= MAX_SECONDS:
        raise InvalidSetting(f"must be a number of seconds above 0 and at most {MAX_SECONDS}")
    return float(count)


def card(parts: dict[str, Any]) -> dict[str, Any]:
    """A whole price as a route keeps it."""
    if not isinstance(parts, dict) or parts.keys() - {*PRICE_PARTS, "cache_read", "cache_write", "tiers"}:
        raise InvalidSetting("must be a price: prompt, completion, and what else a model's price has")
    for name in {"prompt", "completion", *parts} - {"tiers"}:
        amount(parts.get(name, -1))
    return {**parts, "tiers": tiers(parts["tiers"])} if "tiers" in parts else parts


def credit_rate(count: int) -> int:
    """How many credits a US dollar buys."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= NANO:
        raise InvalidSetting(f"must be a whole number from 1 to {NANO}")
    return count


def surfaces(names: list[Any]) -> list[str]:
    """The APIs that a provider speaks, each once; none leaves it to the provider's address."""
    unknown = [name for name in names if name not in SURFACES]
    if unknown:
        raise InvalidSetting(
            f"must list some of {', '.join(SURFACES)}; {str(unknown[0])[:32]!r} is none of them"
        )
    return sorted(set(names))


def base_url(text: str) -> str:
    """Where a provider is: the built-in sandbox or an http(s) address, without a slash at its end.

    Paths are appended to it and a key is sent along: it has no query, fragment or credentials of its own.
    """
    text = text.strip()
    if text == SANDBOX_URL:
        return text
    if len(text) > 500:
        raise InvalidSetting("must have at most 500 characters")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidSetting(f"{_URL_MESSAGE} (no blanks or special characters)")
    try:
        parts = urlsplit(text)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidSetting(f"{_URL_MESSAGE} (its host or port can't be read)") from None
    if parts.scheme not in {"http", "https"} or not hostname:
        raise InvalidSetting(_URL_MESSAGE)
    if "@" in parts.netloc:
        raise InvalidSetting("must hold no credentials; put the provider's key into api_key")
    if "?" in text or "#" in text:
        raise InvalidSetting("must end with its path: no '?' query and no '#' fragment")
    return text.rstrip("/")


def secret(text: str) -> str:
    """A provider's key as it goes into an HTTP header: visible ASCII. Empty is no key."""
    text = text.strip()
    if len(text) > 4_096:
        raise InvalidSetting("must have at most 4096 characters")
    if not all("!" <= char <= "~" for char in text):
        raise InvalidSetting("must hold only visible ASCII characters (it is sent in an HTTP header)")
    return text


def upstream_of(provider_url: str, upstream_model: str) -> None:
    """The sandbox knows its own models only; any other provider says itself what it knows."""
    if provider_url == SANDBOX_URL and upstream_model not in SANDBOX_MODELS:
        raise InvalidSetting(
            f"must be a model of the sandbox: {', '.join(SANDBOX_MODELS)}", param="upstream_model"
        )


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


def obeyed(rules: Mapping[str, Rule], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored; one without a rule passes. Raises InvalidSetting for the first."""
    stored = {}
    for name, value in settings.items():
        try:
            stored[name] = rules[name](value) if name in rules else value
        except InvalidSetting as fault:
            raise InvalidSetting(fault.message, param=name) from None
    return stored
