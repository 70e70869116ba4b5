"""What a tool declares, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.approving import EFFECTS

if TYPE_CHECKING:
    from tools.registry import Tool

_TRUST = {
    "trusted": "Only the instance itself writes what it returns.",
    "untrusted": "Strangers may have written what it returns: a run that has read it asks before it acts.",
}
_KIND = {"search": "It looks something up.", "act": "It does something."}
_ISOLATION = {
    "async": "On the worker's event loop, beside other calls.",
    "thread": "In a thread of the worker.",
    "process": "In a process of its own, which can be killed.",
}
_DURABLE = {
    "sleep": "A pause of the run, which holds no worker.",
    "ask": "A question to a person; the run waits without a worker.",
    "crawl": "A walk over many pages; each is a step of the run.",
}
_APPROVAL = {
    "never": "Never by itself; the workspace may want it.",
    "always": "Before every call.",
    "when_tainted": "Once the run has read what strangers may have written, if the call has an effect.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a tool declares."""

    what: str
    words: str


def in_words(tool: Tool) -> list[Said]:
    """Say all that a tool declares."""
    said = [
        Said("Kind", _KIND[tool.kind]),
        Said("Effect", EFFECTS[tool.effect]),
        Said("Output", _TRUST[tool.trust]),
        Said("Asks a person", _APPROVAL[tool.approval] if isinstance(tool.approval, str) else "By a rule of its own."),
        Said("Time", f"At most {_seconds(tool.timeout)} for each attempt."),
        Said("Attempts", f"Up to {tool.retry.max_attempts}." if tool.retry else "As the workflow wants."),
        Said("Limits", f"Counts for {', '.join(limit_names(tool))}."),
        Said("Results", _results(tool)),
        Said("Runs", _DURABLE.get(tool.durable) or _ISOLATION[tool.isolation]),
    ]
    if tool.batch:
        window = f"{tool.batch.window * 1000:g} ms"
        said.append(Said("Batch", f"Up to {tool.batch.max_size} calls of all runs that come within {window} are one."))
    return said


def limit_names(tool: Tool) -> list[str]:
    """Give the names of limits that its calls count for; those that depend on the call as the tool writes them."""
    names = [f"tool:{tool.name}", *tool.limits.templates]
    if tool.limits.function is not None:
        names.append(_first_line(tool.limits.function.__doc__) or "what each call works out")
    return names


def _results(tool: Tool) -> str:
    if tool.cache:
        audience = "run" if tool.per_run else "workspace"
        return f"Serve equal calls of the same {audience} for {_seconds(tool.cache)}."
    if tool.is_shared:
        return "Not kept; equal calls at the same time are one."
    return "Not kept; each call is made."


def _first_line(text: str | None) -> str:
    line = (text or "").strip().partition("\n")[0].strip().rstrip(".")
    return line[:1].lower() + line[1:]


def _seconds(seconds: float) -> str:
    for size, name in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} s"
