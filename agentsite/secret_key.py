"""The instance's own keys, made on first use and kept beside its data."""

import base64
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def signing_key() -> str:
    """Make a key for Django's SECRET_KEY."""
    return secrets.token_urlsafe(64)


def fernet_key() -> str:
    """Make a key for SECRETS_KEYS, as cryptography's Fernet.generate_key does."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def load_or_make(path: Path, make: Callable[[], str] = signing_key, shortest: int = 50) -> str:
    """Return the key stored in `path`; make it, readable by its owner alone, when there is none.

    Web and workers may all start at once on an empty directory. Each writes a complete file of its own and links it
    to the final name: the first link wins, and nobody ever reads a file that is still being written.
    """
    with suppress(FileNotFoundError):
        return _read(path, shortest)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        # Losing the race is fine: the key that won is read below.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return _read(path, shortest)


def _read(path: Path, shortest: int) -> str:
    key = path.read_text(encoding="ascii").strip()
    if len(key) < shortest:
        msg = f"{path} holds no usable secret key. Restore it from a backup, or remove it to have a new one made."
        raise ValueError(msg)
    return key
