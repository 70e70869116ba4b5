"""What a model can answer instead of an answer. The engine retries the first kind and gives up on the second.

Retryable
├── RateLimited         the provider asks to wait
├── ModelUnavailable    it can't be reached, is overloaded or failed
├── AnswerCut           its answer stopped in the middle
└── MalformedAnswer     its answer is empty or can't be read

Permanent, by type: ModelNotConfigured, ModelAuthentication, ModelNotFound, ModelQuota,
                    ModelContextFull, ModelRefused, ModelRejected
"""

from __future__ import annotations

from typing import Literal

from agents.engine.errors import Permanent, Retryable


class RateLimited(Retryable):
    """The provider refused the request because too many came."""


class ModelUnavailable(Retryable):
    """The provider can't be reached, is overloaded, or failed."""


class AnswerCut(Retryable):
    """The answer stopped before its end."""


class MalformedAnswer(Retryable):
    """The answer is empty or can't be read."""


Refusal = Literal[
    "ModelNotConfigured",
    "ModelAuthentication",
    "ModelNotFound",
    "ModelQuota",
    "ModelContextFull",
    "ModelRefused",
    "ModelRejected",
]


def refused(type: Refusal, message: str) -> Permanent:
    """Make the failure of a request that would fail again in the same way."""
    return Permanent(message, type=type)
