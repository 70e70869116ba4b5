"""Why a service refuses.

ServiceError
├── InvalidInput    what was given can't be used; `field` names it
│   └── InvalidDefinition   this is no agent, or none that can be published; `errors` say it field by field
├── NotAllowed      the caller's role or scope does not permit it
├── NotFound        there is no such thing in this workspace
└── Conflict        it can't be done in the present state
    ├── IdempotencyConflict   the key was used before with another body
    └── InFlight              the first request with this key is still being accepted
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.definitions.problems import Problem


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

    @property
    def errors(self) -> dict[str, list[str]]:
        """What is wrong, by the names of fields."""
        return {self.field: [self.message]} if self.field else {}


class InvalidDefinition(InvalidInput):
    """This is no definition of an agent, or none that can be published."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(f"{first.field}: {first.message}" if first.field else first.message, first.field)
        self.problems = tuple(problems)

    @property
    def errors(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for problem in self.problems:
            found.setdefault(problem.field or "body", []).append(problem.message)
        return found


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
