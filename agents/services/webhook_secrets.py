"""Secrets of webhooks: made or given, sealed in their row, and two of them good during a rotation."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta

from agents.models import WebhookEndpoint, WebhookScheme, WebhookSource
from agents.services.errors import InvalidInput
from agents.triggers.outbox import secret_place
from agents.triggers.signatures import SECRET_PREFIX, standard_key
from tools.errors import SecretUnreadable
from tools.redaction import SHORTEST
from tools.secrets import seal, unseal

MAX_SECRET = 500
ROTATION_HOURS = range(721)
DAY = 24


def make_secret(scheme: str = WebhookScheme.STANDARD) -> str:
    """Make a secret that nobody guesses, of the form that the scheme wants."""
    if scheme == WebhookScheme.STANDARD:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def check_secret(text: str, scheme: str = WebhookScheme.STANDARD) -> None:
    """Raise InvalidInput for what is no secret of this scheme."""
    if not SHORTEST <= len(text) <= MAX_SECRET:
        raise InvalidInput(f"A secret has {SHORTEST} to {MAX_SECRET} characters.", "secret")
    if text != text.strip() or not text.isprintable():
        raise InvalidInput("A secret has no spaces around it and no line ends.", "secret")
    if scheme == WebhookScheme.STANDARD:
        try:
            standard_key(text)
        except ValueError as error:
            raise InvalidInput(f"{str(error).capitalize()}.", "secret") from error


def place_of(row: WebhookSource | WebhookEndpoint, column: str = "secret") -> str:
    """Name the place for which a secret is sealed."""
    return secret_place(row.pk, column)


def set_secret(row: WebhookSource | WebhookEndpoint, text: str) -> None:
    """Seal the secret of a new row; it is not saved."""
    row.secret = seal(row.workspace_id, place_of(row), text)


def rotate_secret(row: WebhookSource | WebhookEndpoint, text: str, *, hours: int, now: datetime) -> None:
    """Put a secret in the place of the present one, which is good for so many hours more; it is not saved.

    One that can't be read any more is of no further use.
    """
    if hours not in ROTATION_HOURS:
        raise InvalidInput(f"The old secret is good for 0 to {ROTATION_HOURS[-1]} hours more.", "hours")
    try:
        old = unseal(row.workspace_id, place_of(row), row.secret) if hours else ""
    except SecretUnreadable:
        old = ""
    row.previous_secret = seal(row.workspace_id, place_of(row, "previous_secret"), old) if old else ""
    row.previous_until = now + timedelta(hours=hours) if old else None
    set_secret(row, text)
    row.updated_at = now


def secrets_of(row: WebhookSource | WebhookEndpoint, now: datetime) -> list[str]:
    """Give the secrets that are good now, the present one first; raises SecretUnreadable."""
    found = [unseal(row.workspace_id, place_of(row), row.secret)]
    if row.previous_secret and row.previous_until is not None and row.previous_until > now:
        found.append(unseal(row.workspace_id, place_of(row, "previous_secret"), row.previous_secret))
    return found
