"""System checks: settings that are dangerous, or wrong together. An error keeps the product from starting."""

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

TAG = "tollgate"

# PostgreSQL's major version.
OLDEST_SERVER = 15

_MAKE_FERNET_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
_OR_NO_PRODUCTION = "or set PRODUCTION=false if nobody else reaches this installation"


@register(TAG)
def check_address(**_: Any) -> Sequence[CheckMessage]:
    """PUBLIC_URL is what links, cookies and the question "is this production?" are made from."""
    address = urlsplit(settings.PUBLIC_URL)
    if address.scheme in {"http", "https"} and address.hostname:
        return []
    return [
        Error(
            f"PUBLIC_URL is no web address: {settings.PUBLIC_URL!r}.",
            hint="Give the whole address that clients use, such as https://paywall.example.com.",
            id="tollgate.E009",
        )
    ]


@register(TAG)
def check_database(**_: Any) -> Sequence[CheckMessage]:
    """DATABASE_URL, where it is set, names a database on a PostgreSQL server."""
    if settings.EMBEDDED or re.match(r"(postgres|postgresql)://.*/[^/?]+(\?|$)", settings.DATABASE_URL):
        return []
    return [
        Error(
            # Not the value itself, which may hold a password.
            "DATABASE_URL names no PostgreSQL database.",
            hint="Set it to postgres://user:password@host:5432/database, or unset it for the embedded server.",
            id="tollgate.E010",
        )
    ]


@register(checks.Tags.database)
def check_server(*, databases: Sequence[str] | None = None, **_: Any) -> Sequence[CheckMessage]:
    """The server is new enough, where a command looks at databases: roll-ups rely on NULLS NOT DISTINCT."""
    return [
        Error(
            f"DATABASE_URL names a PostgreSQL {version // 10_000}; {OLDEST_SERVER} is the oldest that will do.",
            hint=f"Name a server of version {OLDEST_SERVER} or newer, or unset it for the embedded one.",
            id="tollgate.E016",
        )
        for name in databases or ()
        if (version := cast(Any, connections[name]).pg_version) < OLDEST_SERVER * 10_000
    ]


@register(TAG)
def check_secrets(**_: Any) -> Sequence[CheckMessage]:
    """Secrets are named in production, and encryption keys are keys."""
    found: list[CheckMessage] = []
    if not _secret_key():
        found.append(
            Error(
                "SECRET_KEY is not set, and production doesn't make one up.",
                hint="Set SECRET_KEY to a long random text that stays the same over restarts: "
                'python -c "import secrets; print(secrets.token_urlsafe(50))"',
                id="tollgate.E002",
            )
        )
    if not settings.ENCRYPTION_KEYS:
        found.append(
            Error(
                "ENCRYPTION_KEYS is not set, and production doesn't make one up.",
                hint=f"Set ENCRYPTION_KEYS to a Fernet key and keep a copy: {_MAKE_FERNET_KEY}",
                id="tollgate.E003",
            )
        )
    for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"ENCRYPTION_KEYS: key {position} is no Fernet key.",
                    hint=f"A key is 32 random bytes in URL-safe base64 (44 characters): {_MAKE_FERNET_KEY}",
                    id="tollgate.E004",
                )
            )
    return found


@register(TAG)
def check_production(**_: Any) -> Sequence[CheckMessage]:
    """What may be open on a developer's machine is closed where strangers come."""
    if not settings.PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(
            Error(
                "DEBUG is on in production: error pages show settings and source to strangers.",
                hint=f"Remove DEBUG, {_OR_NO_PRODUCTION}.",
                id="tollgate.E001",
            )
        )
    if settings.SANDBOX_CHECKOUT:
        found.append(
            Error(
                "SANDBOX_CHECKOUT is on in production: anybody could top up without paying.",
                hint=f"Remove SANDBOX_CHECKOUT, {_OR_NO_PRODUCTION}.",
                id="tollgate.E006",
            )
        )
    if settings.SANDBOX_MAIL:
        found.append(
            Error(
                "SANDBOX_MAIL is on in production: anybody could sign in with anybody's address.",
                hint=f"Remove SANDBOX_MAIL, and name a mail server (EMAIL_URL), {_OR_NO_PRODUCTION}.",
                id="tollgate.E016",
            )
        )
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "ALLOWED_HOSTS is * in production: a forged Host header is believed.",
                hint=f"List the names that clients use, such as {urlsplit(settings.PUBLIC_URL).hostname}.",
                id="tollgate.E007",
            )
        )
    if settings.WEB_PROCESSES > 1 and not settings.REDIS_URL:
        found.append(
            Error(
                f"WEB_PROCESSES is {settings.WEB_PROCESSES} without REDIS_URL: each process counts limits "
                "for itself, so every limit is as many times too high.",
                hint="Name a Redis server (REDIS_URL=redis://host:6379/0), or set WEB_PROCESSES=1.",
                id="tollgate.E005",
            )
        )
    if settings.EMBEDDED:
        found.append(
            Warning(
                "Production runs on the embedded PostgreSQL: on one machine, and with no backups but those "
                f"you make of {settings.DATA_DIR}.",
                hint="Name a PostgreSQL server: DATABASE_URL=postgres://user:password@host:5432/database.",
                id="tollgate.W001",
            )
        )
    return found


@register(TAG)
def check_times(**_: Any) -> Sequence[CheckMessage]:
    """A hold outlives the request that it pays for."""
    if settings.UPSTREAM_TOTAL_SECONDS < settings.HOLD_SECONDS:
        return []
    return [
        Error(
            f"HOLD_SECONDS ({settings.HOLD_SECONDS:g}) must be more than UPSTREAM_TOTAL_SECONDS "
            f"({settings.UPSTREAM_TOTAL_SECONDS:g}): the sweeper would take holds from live requests.",
            hint="Remove HOLD_SECONDS (it follows UPSTREAM_TOTAL_SECONDS), or raise it.",
            id="tollgate.E008",
        )
    ]


@register(TAG)
def check_registration(**_: Any) -> Sequence[CheckMessage]:
    """Who may register is said in a way that is understood."""
    hint = "Set REGISTRATION to open, closed or invitation."
    if settings.REGISTRATION not in {"open", "closed", "invitation"}:
        return [Error(f"REGISTRATION is {settings.REGISTRATION!r}.", hint=hint, id="tollgate.E012")]
    codes = settings.INVITATION_CODES
    if settings.REGISTRATION == "invitation" and (not codes or min(map(len, codes)) < 16):
        return [
            Error(
                "REGISTRATION is by invitation, and INVITATION_CODES is empty or has a code under 16 characters.",
                hint='Make one: python -c "import secrets; print(secrets.token_urlsafe(16))"',
                id="tollgate.E013",
            )
        ]
    return []


@register(TAG)
def check_webhook_retention(**_: Any) -> Sequence[CheckMessage]:
    """A negative age would make every event an old one."""
    if settings.WEBHOOK_RETENTION_DAYS >= 0:
        return []
    return [
        Error(
            f"WEBHOOK_RETENTION_DAYS is {settings.WEBHOOK_RETENTION_DAYS:g}.",
            hint="Give a number of days, or 0 to keep events for ever.",
            id="tollgate.E015",
        )
    ]


@register(TAG)
def check_webhook_networks(**_: Any) -> Sequence[CheckMessage]:
    """Networks that deliveries may go to are networks."""
    found: list[CheckMessage] = []
    for cidr in settings.WEBHOOK_ALLOWED_NETWORKS:
        try:
            ip_network(cidr)
        except ValueError as error:
            found.append(
                Error(
                    f"WEBHOOK_ALLOWED_NETWORKS: {error}.",
                    hint="List networks as CIDR, comma-separated, such as 10.20.0.0/16.",
                    id="tollgate.E011",
                )
            )
    return found


@register(TAG)
def check_stripe(**_: Any) -> Sequence[CheckMessage]:
    """Keys that move money travel encrypted, and are keys."""
    found: list[CheckMessage] = []
    address = urlsplit(settings.STRIPE_API_BASE)
    if not address.hostname or address.scheme not in (
        {"https"} if settings.PRODUCTION else {"https", "http"}
    ):
        found.append(
            Error(
                f"STRIPE_API_BASE is no https address: {settings.STRIPE_API_BASE!r}.",
                hint="Remove it to use Stripe itself (https://api.stripe.com), or name your proxy by https.",
                id="tollgate.E030",
            )
        )
    if settings.STRIPE_SECRET_KEY and not settings.STRIPE_SECRET_KEY.startswith(("rk_", "sk_")):
        found.append(
            Error(
                # Not the value itself, which is a secret.
                "STRIPE_SECRET_KEY is no secret key of Stripe.",
                hint="Set it to a restricted key, which starts with rk_live_ or rk_test_ (docs/payments.md).",
                id="tollgate.E031",
            )
        )
    return found


@register(TAG)
def check_pages(**_: Any) -> Sequence[CheckMessage]:
    """Every page of the operators' site says whose rows it shows."""
    from django.contrib import admin

    from config.admin.tenancy import TenantPages

    return [
        Error(
            f"The page of {model._meta.label} isn't limited to the tenants of whoever asks.",
            hint="Derive it from config.admin.OperatorAdmin, and name its tenant_path.",
            id="tollgate.E042",
        )
        for model, page in admin.site._registry.items()
        if not isinstance(page, TenantPages)
    ]


def _secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's answer for an empty one
        return ""
