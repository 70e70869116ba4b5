"""Why a service refuses.

ServiceError
├── InvalidInput    what was given can't be used; `field` names it
├── NotAllowed      the caller's role or scope does not permit it
├── NotFound        there is no such thing in this workspace
└── Conflict        it can't be done in the present state
    ├── IdempotencyConflict   the key was used before with another body
    └── InFlight              the first request with this key is still being accepted
"""

from __future__ import annotations


class ServiceError(Exception):
    """A request was refused. The message says what, where and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ServiceError):
    """What was given can't be used."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowed(ServiceError):
    """The caller's role or scope does not permit it."""


class NotFound(ServiceError):
    """There is no such thing in this workspace."""


class Conflict(ServiceError):
    """It can't be done in the present state."""


class IdempotencyConflict(Conflict):
    """The idempotency key was used before with another body."""


class InFlight(Conflict):
    """The first request with this idempotency key is still being accepted."""
