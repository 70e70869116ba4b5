"""Secrets of workspaces: encrypted in the table, in plain text only in the memory of those who use them.

Keys are Fernet keys of SECRETS_KEYS: the first one encrypts, all of them decrypt. To change the key, add the new one
behind the old one on all machines, then put it first, run `agentsite secrets rotate`, and take the old one away.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from tools.errors import SecretRefused, SecretUnreadable, UnknownSecret
from tools.hosts import is_listed
from tools.models import Secret
from tools.redaction import Redactor, everywhere
from tools.threads import run_in_thread

AGE = 10.0
"""Seconds after which a process looks again for secrets that others have set, to take them out of what tools give."""


@dataclass(slots=True)
class _Workspace:
    """What this process knows of a workspace's secrets."""

    redactor: Redactor = field(default_factory=Redactor)
    read_at: float | None = None


class Vault:
    """The secrets as one process uses them."""

    def __init__(self) -> None:
        self._workspaces: dict[int, _Workspace] = {}

    async def reveal(self, workspace_id: int, name: str, host: str = "") -> str:
        """Give a secret's value; with a host, only if it may be sent there.

        Whatever the process logs, and what its tools give in this workspace, is free of it from now on. Raises
        UnknownSecret, SecretUnreadable, SecretRefused.
        """
        return await run_in_thread(self._reveal, workspace_id, name, host)

    async def lend(self, workspace_id: int, name: str, host: str) -> str:
        """Give a secret's value to send it to a provider; with a host, only if the secret names this one or none.

        Otherwise as `reveal`.
        """
        return await run_in_thread(self._reveal, workspace_id, name, host, is_for_provider=True)

    async def hosts(self, workspace_id: int) -> tuple[str, ...]:
        """Give the hosts that the workspace's secrets may be sent to."""
        return await run_in_thread(self._hosts, workspace_id)

    async def redactor(self, workspace_id: int) -> Redactor:
        """Give what takes the workspace's secrets out of texts; it may be some seconds behind what others set."""
        known = self._workspaces.setdefault(workspace_id, _Workspace())
        if known.read_at is None or time.monotonic() - known.read_at > AGE:
            await run_in_thread(self._read_all, workspace_id)
        return known.redactor

    def _reveal(self, workspace_id: int, name: str, host: str, *, is_for_provider: bool = False) -> str:
        secret = Secret.objects.filter(workspace_id=workspace_id, name=name).first()
        if secret is None:
            raise UnknownSecret(f"This workspace has no secret named {name[:100]!r}.")
        is_free = is_for_provider and not secret.hosts
        if host and not is_free and not is_listed(host, secret.hosts):
            raise SecretRefused(f"The secret {name!r} may not be sent to {host}; an administrator can allow it.")
        value = decrypt(secret)
        self._note(workspace_id, secret.name, value)
        return value

    def _hosts(self, workspace_id: int) -> tuple[str, ...]:
        listed = Secret.objects.filter(workspace_id=workspace_id).order_by("name").values_list("hosts", flat=True)
        return tuple(dict.fromkeys(host for hosts in listed for host in hosts))

    def _read_all(self, workspace_id: int) -> None:
        now = time.monotonic()
        for secret in Secret.objects.filter(workspace_id=workspace_id):
            try:
                self._note(workspace_id, secret.name, decrypt(secret))
            except SecretUnreadable:
                continue  # Whoever asks for it by name is told.
        self._workspaces.setdefault(workspace_id, _Workspace()).read_at = now

    def _note(self, workspace_id: int, name: str, value: str) -> None:
        self._workspaces.setdefault(workspace_id, _Workspace()).redactor.know(value, name)
        everywhere.know(value, name)


vault = Vault()
"""The process's own."""


def read_keys(keys: Sequence[str]) -> MultiFernet:
    """Make the keyring; raises ValueError if a key is none or if there is none."""
    if not keys:
        raise ValueError("there is no key")
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(workspace_id: int, name: str, value: str) -> str:
    """Encrypt a value for its place: moved to another workspace or name, it can't be read."""
    plain = json.dumps([workspace_id, name, value])
    return _keyring(tuple(settings.SECRETS_KEYS)).encrypt(plain.encode()).decode()


def decrypt(secret: Secret) -> str:
    """Give a secret's value; raises SecretUnreadable if none of the keys fits, or if it was made for another place."""
    return _read(secret.workspace_id, secret.name, secret.token)


def seal(workspace_id: int, place: str, value: str) -> str:
    """Encrypt a value for a column of another table, whose field is marked by `is_sealed`.

    `place` names row and column: the value can be read there alone.

    Whatever this process logs is free of it from now on.
    """
    everywhere.know(value, place)
    return encrypt(workspace_id, place, value)


def unseal(workspace_id: int, place: str, token: str) -> str:
    """Give the value of such a column; raises SecretUnreadable as `decrypt` does."""
    value = _read(workspace_id, place, token)
    everywhere.know(value, place)
    return value


def rotate() -> int:
    """Encrypt all secrets anew with the first key; give how many. Those that none of the keys reads stay as they are.

    Each is changed only if it is still what was read, so that a value set at the same moment is not lost.
    """
    keyring, done = _keyring(tuple(settings.SECRETS_KEYS)), 0
    for model, column in _sealed_columns():
        for pk, token in _filled(model, column).values_list("pk", column).order_by("pk"):
            try:
                renewed = keyring.rotate(token.encode()).decode()
            except InvalidToken:
                continue
            done += model._default_manager.filter(pk=pk, **{column: token}).update(**{column: renewed})
    return done


def count_sealed() -> int:
    """Give how many values are encrypted in all tables."""
    return sum(_filled(model, column).count() for model, column in _sealed_columns())


def unreadable() -> list[str]:
    """Name the secrets that none of the keys reads."""
    keys = tuple(settings.SECRETS_KEYS)
    found = []
    for model, column in _sealed_columns():
        for row in _filled(model, column).order_by("pk"):
            try:
                _decrypted(keys, getattr(row, column))
            except InvalidToken:
                found.append(str(row))
    return found


@transaction.atomic
def store(*, workspace_id: int, name: str, value: str, hosts: Sequence[str], note: str, by_id: int | None) -> Secret:
    """Set a secret, in the place of one of this name if there is one."""
    everywhere.know(value, name)
    fields = {
        "token": encrypt(workspace_id, name, value),
        "hosts": list(hosts),
        "note": note,
        "updated_at": timezone.now(),
    }
    secret, _ = Secret.objects.update_or_create(
        workspace_id=workspace_id, name=name, defaults=fields, create_defaults=fields | {"created_by_id": by_id}
    )
    return secret


@lru_cache(maxsize=4)
def _keyring(keys: tuple[str, ...]) -> MultiFernet:
    return read_keys(keys)


@lru_cache(maxsize=1000)
def _decrypted(keys: tuple[str, ...], token: str) -> bytes:
    return _keyring(keys).decrypt(token)


def _read(workspace_id: int, name: str, token: str) -> str:
    try:
        plain = json.loads(_decrypted(tuple(settings.SECRETS_KEYS), token))
    except InvalidToken as error:
        raise SecretUnreadable(
            f"The secret {name!r} can't be read with the keys of this machine; check SECRETS_KEYS."
        ) from error
    if plain[:2] != [workspace_id, name]:
        raise SecretUnreadable(f"The secret {name!r} was not made for this place.")
    return str(plain[2])


def _sealed_columns() -> Iterator[tuple[type[Model], str]]:
    """Give the tables and columns of all apps that hold what is encrypted."""
    yield Secret, "token"
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if getattr(column, "is_sealed", False):
                yield model, column.name


def _filled(model: type[Model], column: str) -> QuerySet[Any]:
    return model._default_manager.exclude(**{column: ""})
