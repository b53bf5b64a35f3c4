"""Secrets at rest: the keys that are kept under DATA_DIR where none are named, and the encryption they serve.

Provider and payment keys are stored as Fernet tokens. `ENCRYPTION_KEYS` lists the keys, the first one encrypts and
all of them decrypt, so that a new key can be put in front and the old one dropped once everything is re-encrypted.
"""

import os
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.utils.crypto import get_random_string


class UndecryptableSecret(Exception):
    """A stored secret was encrypted with a key that `ENCRYPTION_KEYS` no longer lists."""


def kept(data_dir: Path, name: str, *, make: bool, value: str = "") -> str:
    """The secret kept in `data_dir/secrets/name`; made there on first use when `make` is set, else ''.

    Two processes that start at once agree: the file is written aside and linked into place, the first one wins.
    """
    path = data_dir / "secrets" / name
    if not path.exists() and make:
        draft = _draft(path, value or get_random_string(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip() if path.exists() else ""


def keep(data_dir: Path, name: str, value: str) -> None:
    """Keep a secret in `data_dir/secrets/name`, in place of what was kept there."""
    path = data_dir / "secrets" / name
    _draft(path, value).replace(path)


def _draft(path: Path, value: str) -> Path:
    """The secret in a file of its own beside `path`, which nobody else may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(value)
    return draft


def kept_fernet_keys(data_dir: Path, *, make: bool) -> list[str]:
    """The encryption keys kept in `data_dir`, as `ENCRYPTION_KEYS` would list them."""
    key = kept(data_dir, "encryption_keys", make=make, value=Fernet.generate_key().decode())
    return [part for part in key.split(",") if part]


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _current() -> MultiFernet:
    from django.conf import settings

    return _fernet(tuple(settings.ENCRYPTION_KEYS))


def encrypt(plain: str) -> str:
    """The Fernet token of a secret; an empty secret stays empty."""
    return _current().encrypt(plain.encode()).decode() if plain else ""


def decrypt(token: str) -> str:
    """The secret behind a token. Raises UndecryptableSecret when no listed key fits."""
    if not token:
        return ""
    try:
        return _current().decrypt(token.encode()).decode()
    except InvalidToken:
        raise UndecryptableSecret(
            "A stored secret can't be read: add the key it was encrypted with to ENCRYPTION_KEYS."
        ) from None


def rotate(token: str) -> str:
    """The same secret, encrypted with the first of `ENCRYPTION_KEYS`. Raises UndecryptableSecret."""
    return encrypt(decrypt(token))
