"""The durable engine: workflows whose effects go through `ctx` and are recorded step by step."""

from agents.engine.asking import Decision
from agents.engine.context import Context
from agents.engine.errors import NoEffect, OutputInvalid, Permanent, Retryable, StepFailed, StepTimeout
from agents.engine.happening_records import Happening
from agents.engine.registry import workflow
from agents.engine.retry import Retry

__all__ = [
    "Context",
    "Decision",
    "Happening",
    "NoEffect",
    "OutputInvalid",
    "Permanent",
    "Retry",
    "Retryable",
    "StepFailed",
    "StepTimeout",
    "workflow",
]
