"""Every setting of the installation. Each environment variable is read here and listed in `.env.example`."""

import os
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from config import embedded, secrets, site

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):
    """Names the variable where its value can't be read as what it should be."""

    def get_value(self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any) -> Any:
        try:
            return super().get_value(var, cast=cast, default=default, **options)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}") from error

    def percent(self, var: str, default: str) -> Decimal:
        """A percentage from 0 to 100, such as 2.5."""
        text = self.str(var, default=default)
        if not re.fullmatch(r"\d{1,3}(\.\d{1,4})?", text, re.ASCII) or Decimal(text) > 100:
            raise ImproperlyConfigured(f"{var}: must be a percentage from 0 to 100 such as 2.5")
        return Decimal(text)


env = Env()
environ.Env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).expanduser().resolve()

# --- What kind of installation this is -------------------------------------------------------------------

# The embedded default: no DATABASE_URL was named, so the project runs its own PostgreSQL under DATA_DIR.
DATABASE_URL = env.str("DATABASE_URL", default="")
EMBEDDED = not DATABASE_URL
DEBUG = env.bool("DEBUG", default=False)
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
# The proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks; * is any.
FORWARDED_ALLOW_IPS = env.str("FORWARDED_ALLOW_IPS", default="127.0.0.1")
WEB_PROCESSES = env.int("WEB_PROCESSES", default=1)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
_IS_LOCAL = _public.hostname in {"127.0.0.1", "localhost", "::1"}

# Production is what strangers can reach: a public address that is not this machine's own, or when said so.
PRODUCTION = env.bool("PRODUCTION", default=not _IS_LOCAL)
# The test checkout gives away money, so it exists only where nobody else's money is.
SANDBOX_CHECKOUT = env.bool("SANDBOX_CHECKOUT", default=EMBEDDED and not PRODUCTION)

# The demo paywall, made where nothing is sold yet.
DEMO = env.bool("DEMO", default=EMBEDDED and not PRODUCTION)
# How long requests under way may take to end when the product is stopped.
SHUTDOWN_SECONDS = env.int("SHUTDOWN_SECONDS", default=30)

# --- Secrets ---------------------------------------------------------------------------------------------

# Outside production what is missing is made once and kept under DATA_DIR; in production it must be named.
SECRET_KEY = env.str("SECRET_KEY", default="") or secrets.kept(DATA_DIR, "secret_key", make=not PRODUCTION)
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[]) or secrets.kept_fernet_keys(
    DATA_DIR, make=not PRODUCTION
)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or [
    "127.0.0.1",
    "localhost",
    "[::1]",
    *([_public.hostname] if _public.hostname else []),
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "config.pages.csrf_failure"

# --- Applications ----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "axes",
    "config.apps.ConfigConfig",
    "webhooks",
    "paywalls",
    "ledger",
    "proxy",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "config.middleware.RequestIdMiddleware",
    "config.middleware.CrossOriginMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.audited.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "config.admin.account.middleware.OperatorMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database --------------------------------------------------------------------------------------------

# One dialect everywhere. The pool is for the web processes, whose requests each run on a thread of their own.
_database = embedded.connection(DATA_DIR) if EMBEDDED else environ.Env.db_url_config(DATABASE_URL)
_pool_size = env.int("DATABASE_POOL", default=0)
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "connect_timeout": 5,
            **({"pool": {"min_size": 0, "max_size": _pool_size, "timeout": 10}} if _pool_size else {}),
        },
    }
}

# --- Worker ----------------------------------------------------------------------------------------------

# A message is only a hint, the database is the truth: without Redis the broker is a folder.
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_BROKER_URL = REDIS_URL or "folder://localhost"
_queue_dir = DATA_DIR / "queue"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if REDIS_URL
    else {
        "data_folder_in": str(_queue_dir / "messages"),
        "data_folder_out": str(_queue_dir / "messages"),
        "control_folder": str(_queue_dir / "control"),
        "polling_interval": 0.1,
    }
)
WORKER_THREADS = env.int("WORKER_THREADS", default=4)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # Late ones are worth nothing: the next second brings another.
    "deliver-webhooks": {"task": "webhooks.tasks.deliver", "schedule": 1.0, "options": {"expires": 5}},
    "release-stale-holds": {"task": "ledger.tasks.release_stale_holds", "schedule": 5.0},
    "replay-unsettled": {"task": "ledger.tasks.replay_unsettled", "schedule": 10.0},
    # What waits for the next run is summed by whoever asks: that it is short keeps their answers fast.
    "roll-up-usage": {"task": "ledger.tasks.roll_up_usage", "schedule": 10.0, "options": {"expires": 10}},
    # Hints start these at once; the clock finds what no hint told of.
    "process-stripe-events": {"task": "ledger.tasks.process_stripe_events", "schedule": 5.0},
    "pay-auto-topups": {"task": "ledger.tasks.pay_auto_topups", "schedule": 5.0},
    "remove-cards": {"task": "ledger.tasks.remove_cards", "schedule": 30.0},
    "look-for-payments": {"task": "ledger.tasks.look_for_payments", "schedule": 10.0},
    "keep-stripe-connected": {"task": "ledger.tasks.keep_stripe_connected", "schedule": 300.0},
    "expire-credits": {"task": "ledger.tasks.expire_credits", "schedule": 60.0},
    "close-overdue-items": {"task": "ledger.tasks.close_overdue_items", "schedule": 600.0},
    "settle-earnings": {"task": "ledger.tasks.settle_earnings", "schedule": 10.0},
    "forget-authorization-requests": {
        "task": "paywalls.tasks.forget_authorization_requests",
        "schedule": 86_400.0,
    },
    "forget-sessions": {"task": "paywalls.tasks.forget_sessions", "schedule": 86_400.0},
    "forget-sign-in-codes": {"task": "paywalls.tasks.forget_sign_in_codes", "schedule": 3600.0},
    "forget-idempotency-keys": {"task": "ledger.tasks.forget_idempotency_keys", "schedule": 3600.0},
    "forget-webhook-events": {"task": "webhooks.tasks.forget_old_events", "schedule": 3600.0},
    "forget-request-keys": {"task": "ledger.tasks.forget_request_keys", "schedule": 600.0},
    "forget-requests": {"task": "ledger.tasks.forget_requests", "schedule": 3600.0},
    "forget-model-spends": {"task": "ledger.tasks.forget_model_spends", "schedule": 3600.0},
    "forget-feature-uses": {"task": "ledger.tasks.forget_feature_uses", "schedule": 3600.0},
    "verify-books": {"task": "ledger.tasks.verify_books", "schedule": crontab(hour=3, minute=0)},
}

# --- The gateway -----------------------------------------------------------------------------------------

MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=10 * 1024 * 1024)
UPSTREAM_CONNECT_SECONDS = env.float("UPSTREAM_CONNECT_SECONDS", default=10.0)
UPSTREAM_FIRST_BYTE_SECONDS = env.float("UPSTREAM_FIRST_BYTE_SECONDS", default=300.0)
UPSTREAM_IDLE_SECONDS = env.float("UPSTREAM_IDLE_SECONDS", default=120.0)
UPSTREAM_TOTAL_SECONDS = env.float("UPSTREAM_TOTAL_SECONDS", default=600.0)
# How often a request asks its providers before it gives up; each of its routes is asked once in any case.
UPSTREAM_ATTEMPTS = env.int("UPSTREAM_ATTEMPTS", default=3)
# A route that failed so many requests in a row rests for so many seconds, then one request at a time may try it.
BREAKER_FAILURES = env.int("BREAKER_FAILURES", default=5)
BREAKER_SECONDS = env.float("BREAKER_SECONDS", default=15.0)
# A hold outlives the longest request, so that the sweeper never takes one from a live request.
HOLD_SECONDS = env.float("HOLD_SECONDS", default=UPSTREAM_TOTAL_SECONDS + 60.0)
REQUEST_RETENTION_DAYS = env.int("REQUEST_RETENTION_DAYS", default=90)
TOPUP_LINK_SECONDS = env.int("TOPUP_LINK_SECONDS", default=24 * 3600)

# --- Shared mode -----------------------------------------------------------------------------------------

# What the installation keeps of every charge on a shared wallet; the rest, less its providers' cost, is the paywall's.
PLATFORM_FEE_PERCENT = env.percent("PLATFORM_FEE_PERCENT", default="0")
AUTHORIZATION_LINK_SECONDS = env.int("AUTHORIZATION_LINK_SECONDS", default=24 * 3600)
# Sign-in codes are shown on the page itself, where no mail leaves the machine.
SANDBOX_MAIL = env.bool("SANDBOX_MAIL", default=EMBEDDED and not PRODUCTION)

# --- The metering API ------------------------------------------------------------------------------------

# Who may register as a tenant: "open" (anybody), "closed", or "invitation" (who knows one of INVITATION_CODES).
REGISTRATION = env.str("REGISTRATION", default="closed" if PRODUCTION else "open")
INVITATION_CODES = env.list("INVITATION_CODES", default=[])
# Requests a minute of each tenant's key where its tier says nothing else; 0 is no limit.
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", default=100)

# --- Payments --------------------------------------------------------------------------------------------

# The installation's own Stripe account, for shared paywalls; a default paywall has one of its own.
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="https://api.stripe.com").rstrip("/")

# --- Webhooks --------------------------------------------------------------------------------------------

# Deliveries under way at a time in one worker; a quarter of them is for endpoints that are slow or failing.
WEBHOOK_SENDERS = env.int("WEBHOOK_SENDERS", default=32)
# Seconds for one attempt, from the name's look-up to the last byte of the answer.
WEBHOOK_TIMEOUT_SECONDS = env.float("WEBHOOK_TIMEOUT_SECONDS", default=15.0)
WEBHOOK_BACKOFF_BASE_SECONDS = env.float("WEBHOOK_BACKOFF_BASE_SECONDS", default=30.0)
WEBHOOK_MAX_ATTEMPTS = env.int("WEBHOOK_MAX_ATTEMPTS", default=8)
WEBHOOK_DISABLE_AFTER_DAYS = env.float("WEBHOOK_DISABLE_AFTER_DAYS", default=5.0)
# Days that events and their finished deliveries are kept, for the log and for replays; 0 keeps them for ever.
WEBHOOK_RETENTION_DAYS = env.float("WEBHOOK_RETENTION_DAYS", default=90.0)
# Networks that deliveries may go to though they are not public, also over plain http.
WEBHOOK_ALLOWED_NETWORKS = env.list(
    "WEBHOOK_ALLOWED_NETWORKS", default=["127.0.0.0/8", "::1/128"] if EMBEDDED and not PRODUCTION else []
)

# --- Mail ------------------------------------------------------------------------------------------------

# Without a server mail goes to the log.
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"tollgate@{_public.hostname or 'localhost'}")

# --- HTTP ------------------------------------------------------------------------------------------------

DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
_is_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _is_https else None
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
# TLS ends at the proxy in front, which is also who redirects; other subdomains are not ours to speak for.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# Compiled where the product runs, from the sources in locale/ (config/translations.py).
LOCALE_PATHS = [DATA_DIR / "locale"]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# The operators' site.
UNFOLD = site.UNFOLD
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "config.admin.backend.OperatorBackend"]
SESSION_ENGINE = "paywalls.sessions"
OPERATOR_2FA_REQUIRED = env.bool("OPERATOR_2FA_REQUIRED", default=False)

# Failed log-ins are counted by the address that they come from, in the database. Not by the user's name: whoever knows
# it could keep its owner out. A try during the lock-out does not prolong it.
LOGIN_FAILURES = env.int("LOGIN_FAILURES", default=10)
LOGIN_LOCKOUT_MINUTES = env.int("LOGIN_LOCKOUT_MINUTES", default=15)
AXES_FAILURE_LIMIT = LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(minutes=LOGIN_LOCKOUT_MINUTES)
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "config.admin.account.throttle.client_address"
AXES_LOCKOUT_CALLABLE = "config.admin.account.throttle.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.rest.StrictJsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.rest.AlwaysJson",
    "DEFAULT_AUTHENTICATION_CLASSES": ["paywalls.authentication.PaywallKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["paywalls.authentication.KeyMayCall"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.rest.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tollgate",
    "DESCRIPTION": "A self-hosted AI paywall: OpenAI-compatible, with an exact ledger behind it.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.openapi.add_gateway_paths",
        "webhooks.openapi.add_events",
    ],
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "tollgate": {"level": LOG_LEVEL},
        "celery": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        # The lock-outs are in the audit log, and the failures are many.
        "axes": {"level": "ERROR"},
    },
}

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
