"""What a call that has a process of its own tells its run: the form in which its outcome, or its failure, travels.

Both ends are here, so that what the run sees is what it would have seen had the tool been called in place.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from agents.engine.canonical import JSON, message_of, recorded
from agents.engine.errors import Interrupted, NeedsApproval, NoEffect, Permanent, Retryable, StepFailed, StepTimeout
from agents.engine.messages import ToolResult
from agents.engine.records import ArtifactRecord

MAX_MESSAGE = 4_000


def of_result(result: ToolResult, artifact: ArtifactRecord | None) -> JSON:
    """Give the form of a result, and of the file that was kept with it."""
    kept = None
    if artifact is not None:
        kept = {name: getattr(artifact, name) for name in ("id", "name", "media_type", "size", "address")}
    return recorded({"result": result.to_json(), "artifact": kept})


def of_error(error: BaseException) -> JSON:
    """Give the form of what the tool raised."""
    told: dict[str, JSON] = {"raised": "StepFailed", "type": type(error).__name__}
    match error:
        case Retryable():
            told |= {"raised": "Retryable", "retry_after": error.retry_after}
        case Permanent():
            told |= {"raised": "Permanent", "type": error.type}
        case StepTimeout():
            return timed_out(error.message)
        case StepFailed():
            told["type"] = error.type
        case NeedsApproval():
            told["raised"] = "NeedsApproval"
        case NoEffect():
            told["raised"] = "NoEffect"
    message = error.message if isinstance(error, StepFailed) else message_of(error)
    return recorded({**told, "message": message[:MAX_MESSAGE] or told["type"]})


def timed_out(message: str) -> JSON:
    """Say that its time was over."""
    return {"raised": "StepTimeout", "type": "StepTimeout", "message": message}


def out_of_memory(megabytes: int) -> JSON:
    """Say that it wanted more memory than it may have: another attempt would want it too."""
    message = f"It needed more than the {megabytes:,} MB of memory that it may have."
    return {"raised": "Permanent", "type": "OutOfMemory", "message": message}


def died(type: str, message: str, settled: datetime | None = None) -> JSON:
    """Say that its process is gone, which counts as a failed attempt.

    It may still be acting until `settled`, if it is not known for sure.
    """
    return recorded({"raised": "StepFailed", "type": type, "message": message, "settled": settled})


def interrupted(message: str) -> JSON:
    """Say that its process was ended for reasons of the machine's, which is not the attempt's fault."""
    return {"raised": "Interrupted", "type": "Interrupted", "message": message}


def settled_at(told: JSON) -> datetime | None:
    """Give until when the process may still be acting although it was told of; None if it surely is not."""
    settled = told.get("settled")
    return None if settled is None else datetime.fromisoformat(settled)


def result_of(told: JSON, key: str) -> ToolResult:
    """Give the result, or raise what the tool raised."""
    if "result" in told:
        return ToolResult.from_json(told["result"], key)
    raise _error_of(told, key)


def artifact_of(told: JSON, key: str, at: datetime) -> ArtifactRecord | None:
    """Give the file that was kept with the result."""
    kept: dict[str, Any] | None = told.get("artifact")
    return None if kept is None else ArtifactRecord(**{**kept, "id": UUID(kept["id"])}, key=key, created_at=at)


def _error_of(told: JSON, key: str) -> Exception:
    message = told["message"]
    match told["raised"]:
        case "Retryable":
            return Retryable(message, told.get("retry_after"))
        case "Permanent":
            return Permanent(message, told["type"])
        case "NeedsApproval":
            return NeedsApproval(message)
        case "NoEffect":
            return NoEffect(message)
        case "Interrupted":
            return Interrupted(message)
        case "StepTimeout":
            return StepTimeout("StepTimeout", message, key)
    return StepFailed(told["type"], message, key)
