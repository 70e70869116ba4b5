"""What the tasks of a team have come to, as writers and reviewers are told it: calls of agents, and their results."""

from __future__ import annotations

from collections.abc import Sequence

from agents.engine.canonical import JSON
from agents.engine.messages import Message, ToolCall, ToolResult
from agents.workflows.delegating import citations_of, tool_name


def as_calls(results: Sequence[JSON]) -> list[Message]:
    """Give the results of tasks as a conversation in which their agents were called as tools."""
    if not results:
        return []
    calls = tuple(ToolCall(f"task-{one['id']}", tool_name(one["agent"]), {"goal": one["goal"]}) for one in results)
    return [
        Message("assistant", "", tool_calls=calls),
        *(_result(call, one) for call, one in zip(calls, results, strict=True)),
    ]


def _result(call: ToolCall, result: JSON) -> ToolResult:
    if error := result.get("error"):
        text = f"{error['type']}: {error['message']}"
        return ToolResult("tool", text, call_id=call.id, name=call.name, ok=False, error=error["type"])
    return ToolResult(
        "tool",
        result["text"],
        call_id=call.id,
        name=call.name,
        citations=citations_of(result, result["run"]),
    )
