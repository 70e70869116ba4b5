"""A conversation with a model, in the engine's own form (no provider's, no library's).

All types are frozen and have a JSON form, which is what a step records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.engine.canonical import JSON

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `id` is the provider's, unique within one reply."""

    id: str
    name: str
    arguments: Mapping[str, Any]

    def to_json(self) -> JSON:
        return {"id": self.id, "name": self.name, "arguments": dict(self.arguments)}

    @classmethod
    def from_json(cls, data: JSON) -> ToolCall:
        return cls(id=data["id"], name=data["name"], arguments=data["arguments"])


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage of a source. `source` is a URL or `document:<id>`, `quote` stands verbatim in it.

    What another run has found names that `run` and the `step` in it; both are empty for what the citing step found.
    """

    source: str
    title: str = ""
    quote: str = ""
    locator: str = ""
    step: str = ""
    run: str = ""

    def to_json(self) -> JSON:
        data = {"source": self.source, "title": self.title, "quote": self.quote, "locator": self.locator}
        if self.run:
            data |= {"step": self.step, "run": self.run}
        return data

    @classmethod
    def from_json(cls, data: JSON) -> Citation:
        found = {name: data.get(name, "") for name in ("source", "title", "quote", "locator")}
        return cls(**found, step=data.get("step", ""), run=data["run"]) if data.get("run") else cls(**found)

    @property
    def passage(self) -> Citation:
        """Give the citation without who found it."""
        return Citation(self.source, self.title, self.quote, self.locator) if self.run else self


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model call used. `cost_microusd` is in millionths of a US dollar; None means the price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None

    def to_json(self) -> JSON:
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_microusd": self.cost_microusd,
        }

    @classmethod
    def from_json(cls, data: JSON) -> Usage:
        return cls(data["input_tokens"], data["output_tokens"], data["cost_microusd"])


@dataclass(frozen=True)
class Message:
    """One message of a conversation. `call_id` and `name` belong to a tool's answer."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""

    def to_json(self) -> JSON:
        data: dict[str, Any] = {"role": self.role, "text": self.text}
        if self.tool_calls:
            data["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.name:
            data["name"] = self.name
        if self.call_id:
            data["call_id"] = self.call_id
        return data

    def identity(self) -> JSON:
        """Give what the digest is made of: without ids that the provider makes anew each time."""
        calls = [[call.name, dict(call.arguments)] for call in self.tool_calls]
        return [self.role, self.text, self.name, calls]


@dataclass(frozen=True)
class Reply(Message):
    """A model's answer. `native` is the provider's own form of it, needed for a faithful continuation.

    `context` is how many tokens the model takes at most, None if that is not known. `output` is the answer in the form
    that was asked for, if one was; it is read from the text and not recorded beside it.
    """

    usage: Usage = field(default_factory=Usage)
    model: str = ""
    finish: str = "stop"
    native: JSON = None
    citations: tuple[Citation, ...] = ()
    step_key: str = ""
    context: int | None = None
    output: Any = field(default=None, compare=False)

    def to_json(self) -> JSON:
        return {
            "text": self.text,
            "tool_calls": [call.to_json() for call in self.tool_calls],
            "usage": self.usage.to_json(),
            "model": self.model,
            "finish": self.finish,
            "native": self.native,
            "citations": [citation.to_json() for citation in self.citations],
            **({} if self.context is None else {"context": self.context}),
        }

    @classmethod
    def from_json(cls, data: JSON, step_key: str = "") -> Reply:
        return cls(
            role="assistant",
            text=data["text"],
            tool_calls=tuple(ToolCall.from_json(call) for call in data["tool_calls"]),
            usage=Usage.from_json(data["usage"]),
            model=data["model"],
            finish=data["finish"],
            native=data["native"],
            citations=tuple(Citation.from_json(citation) for citation in data["citations"]),
            step_key=step_key,
            context=data.get("context"),
        )


@dataclass(frozen=True)
class Summary(Message):
    """What stands in the place of a stretch of a conversation: a summary of it, made by the step `step_key`.

    `citations` are passages that stay at hand for those who quote instead of writing.
    """

    citations: tuple[Citation, ...] = ()
    step_key: str = ""


@dataclass(frozen=True)
class ToolResult(Message):
    """What a tool answered. `ok` is False when it failed in a way that the model may read, `error` names the failure.

    `cached` says that an equal call's answer served: the tool was not called for this one.
    """

    ok: bool = True
    data: JSON = None
    citations: tuple[Citation, ...] = ()
    step_key: str = ""
    cached: bool = False
    error: str = ""

    def to_json(self) -> JSON:
        return {
            "text": self.text,
            "ok": self.ok,
            "data": self.data,
            "citations": [citation.to_json() for citation in self.citations],
            "name": self.name,
            "call_id": self.call_id,
            **({"cached": True} if self.cached else {}),
            **({"error": self.error} if self.error else {}),
        }

    @classmethod
    def from_json(cls, data: JSON, step_key: str = "") -> ToolResult:
        return cls(
            role="tool",
            text=data["text"],
            name=data["name"],
            call_id=data["call_id"],
            ok=data["ok"],
            data=data["data"],
            citations=tuple(Citation.from_json(citation) for citation in data["citations"]),
            step_key=step_key,
            cached=data.get("cached", False),
            error=data.get("error", ""),
        )


def user(text: str) -> Message:
    """Make a user's message."""
    return Message(role="user", text=text)


def system(text: str) -> Message:
    """Make a system message."""
    return Message(role="system", text=text)
