"""The signing keys of apps' identity providers, fetched from their JWKS and kept in the process.

Fetches run on a few threads of their own, one at a time for an address and not more often than every ten seconds, so
that neither a slow issuer nor tokens with made-up key ids cost anybody else. Keys are fetched anew while the known ones
go on; those of an issuer that is away go on for a day.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from config.errors import Unavailable
from webhooks.fetching import FetchFailed, fetch

log = logging.getLogger("tollgate.identity")

FETCH_SECONDS = 5.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 100
MAX_ISSUERS = 1_000
# Seconds: between two fetches of an address, until known keys are fetched anew, until they count no more.
MIN_INTERVAL = 10.0
REFRESH_AFTER = 600.0
USABLE_FOR = 24 * 3600.0
MIN_RSA_BITS = 2_048

# What a key of each kind may have signed: asymmetric algorithms only, so that no public key passes for a secret.
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithms that it may have signed with."""

    key: Any
    algorithms: tuple[str, ...]


class UnknownSigningKey(Exception):
    """The issuer has no such key."""


class IssuerAway(Unavailable):
    """The issuer's keys can't be fetched, and none that is known will do."""

    code = "issuer_unreachable"

    def __init__(self) -> None:
        super().__init__(
            "The keys of this paywall's user tokens can't be fetched from its issuer. Try again shortly.",
            retry_after=int(MIN_INTERVAL),
        )


@dataclass(slots=True)
class _KeySet:
    keys: Mapping[str | None, SigningKey] = field(default_factory=dict)
    fetched_at: float | None = None
    tried_at: float | None = None
    failed: bool = False
    fetching: "Future[None] | None" = None


class KeySets:
    """The process's cache, by the address of a JWKS. Any thread may use it."""

    def __init__(self) -> None:
        self._sets: OrderedDict[str, _KeySet] = OrderedDict()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="jwks")

    def find(self, url: str, kid: str | None) -> "SigningKey | Future[None]":
        """The key of this id (None: the only one there is), or a fetch to wait for; then ask `known`.

        Does no I/O itself. Raises UnknownSigningKey, or IssuerAway.
        """
        with self._lock:
            kept = self._kept(url)
            now = time.monotonic()
            due = kept.tried_at is None or now - kept.tried_at >= MIN_INTERVAL
            if (key := _usable(kept, kid, now)) is not None:
                assert kept.fetched_at is not None
                if due and now - kept.fetched_at >= REFRESH_AFTER and kept.fetching is None:
                    self._start(url, kept)
                return key
            if kept.fetching is None and due:
                self._start(url, kept)
            if kept.fetching is not None:
                return kept.fetching
            raise _missing(kept, now)

    def known(self, url: str, kid: str | None) -> SigningKey:
        """The key of this id as far as is known now. Raises UnknownSigningKey, or IssuerAway."""
        with self._lock:
            kept = self._kept(url)
            now = time.monotonic()
            if (key := _usable(kept, kid, now)) is None:
                raise _missing(kept, now)
            return key

    def _kept(self, url: str) -> _KeySet:
        kept = self._sets.setdefault(url, _KeySet())
        self._sets.move_to_end(url)
        if len(self._sets) > MAX_ISSUERS:
            self._sets.popitem(last=False)
        return kept

    def _start(self, url: str, kept: _KeySet) -> None:
        kept.tried_at = time.monotonic()
        kept.fetching = self._threads.submit(self._fetch, url, kept)

    def _fetch(self, url: str, kept: _KeySet) -> None:
        keys: Mapping[str | None, SigningKey] | None = None
        try:
            keys = parse(fetch(url, seconds=FETCH_SECONDS, limit=MAX_BYTES))
        except FetchFailed as failure:
            log.warning("the keys at %s can't be fetched: %s", url, failure)
        except Exception:
            log.exception("the keys at %s can't be read", url)
        with self._lock:
            kept.fetching = None
            kept.failed = keys is None
            if keys is not None:
                kept.keys, kept.fetched_at = keys, time.monotonic()


def _usable(kept: _KeySet, kid: str | None, now: float) -> SigningKey | None:
    if kept.fetched_at is None or now - kept.fetched_at >= USABLE_FOR:
        return None
    return kept.keys.get(kid)


def _missing(kept: _KeySet, now: float) -> Exception:
    """Whether the issuer lacks the key, or we don't know: a key that was made since would be refused wrongly."""
    current = kept.fetched_at is not None and not kept.failed and now - kept.fetched_at < USABLE_FOR
    return UnknownSigningKey() if current else IssuerAway()


def parse(body: bytes) -> Mapping[str | None, SigningKey]:
    """The keys of a JWKS that may sign tokens, by id; where there is one only, by None too. Raises FetchFailed."""
    try:
        listed = orjson.loads(body)["keys"]
        if not isinstance(listed, list):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise FetchFailed("its answer is no JSON Web Key Set") from None
    keys: dict[str | None, SigningKey] = {}
    usable = 0
    for entry in listed[:MAX_KEYS]:
        if isinstance(entry, dict) and (key := _signing_key(entry)):
            usable += 1
            keys[entry["kid"] if isinstance(entry.get("kid"), str) else None] = key
    if usable == 1:
        keys[None] = next(iter(keys.values()))
    else:
        keys.pop(None, None)
    return keys


def _signing_key(entry: dict[str, Any]) -> SigningKey | None:
    """A public key for signatures; None for anything else, a secret or a weak one too."""
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in {"RSA", "EC", "OKP"} or "d" in entry:
        return None
    allowed = _RSA if entry["kty"] == "RSA" else tuple(filter(None, [_CURVES.get(str(entry.get("crv")))]))
    if "alg" in entry:
        allowed = tuple(name for name in allowed if name == entry["alg"])
    if not allowed:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=allowed[0]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return None
    return SigningKey(key, allowed)


key_sets = KeySets()
