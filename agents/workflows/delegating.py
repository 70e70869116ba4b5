"""Delegation: a sub-agent is a tool of its parent, `delegate_to_<name>`.

Its run is queued like any other, and the parent waits for it without a worker. What comes back, an answer or a failure,
is the result of the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from agents.engine import Context, Permanent, StepFailed
from agents.engine.canonical import JSON, encode
from agents.engine.messages import Citation, ToolCall, ToolResult
from agents.engine.outputs import Unfit, faults_by_schema
from agents.engine.ports import DELEGATE_TO, SubAgent, ToolSpec
from tools.errors import InvalidArguments

LONGEST_NAME = 64
"""What providers take as a tool's name: letters, digits and "_", no more of them than this."""

GOAL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "goal": {
            "type": "string",
            "minLength": 1,
            "description": "What is to be done or found out, with all that has to be known for it: "
            "nothing of this conversation is seen there.",
        }
    },
    "required": ["goal"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Delegate:
    """A sub-agent as a tool of its parent."""

    agent: SubAgent
    tool: str

    @property
    def schema(self) -> Mapping[str, Any]:
        return self.agent.input_schema or GOAL_SCHEMA

    @property
    def spec(self) -> ToolSpec:
        described = self.agent.description.strip()
        text = f"Hand a task to the agent {self.agent.name!r} and get its answer. {described}".strip()
        return ToolSpec(self.tool, text, self.schema)


async def delegates_of(ctx: Context) -> dict[str, Delegate]:
    """Give the sub-agents that the run's agent may delegate to, by the names of their tools."""
    return as_tools(await ctx.sub_agents())


def as_tools(agents: Iterable[SubAgent]) -> dict[str, Delegate]:
    """Give each agent a tool name of its own that every provider takes."""
    found: dict[str, Delegate] = {}
    for agent in agents:
        name = tool_name(agent.name)
        if name in found:
            name = _marked(name, agent.name)
        found[name] = Delegate(agent, name)
    return found


def tool_name(agent: str) -> str:
    """Give the name of the tool that hands a task to this agent."""
    name = DELEGATE_TO + re.sub(r"[^0-9A-Za-z_]", "_", agent)
    return name if len(name) <= LONGEST_NAME else _marked(name, agent)


def _marked(name: str, agent: str) -> str:
    mark = blake2b(agent.encode(), digest_size=4).hexdigest()
    return f"{name[: LONGEST_NAME - len(mark) - 1]}_{mark}"


async def delegate(ctx: Context, call: ToolCall, to: Delegate) -> ToolResult:
    """Carry out a call of a sub-agent's tool; raises InvalidArguments for what its agent does not take."""
    arguments = dict(call.arguments)
    check_input(arguments, to)
    try:
        started = await ctx.spawn(to.agent.name, arguments)
        output = await started.result()
    except StepFailed as failed:
        return replace(failure(call, failed.type, failed.message), step_key=failed.key)
    except Permanent as refused:
        return failure(call, refused.type, str(refused))
    return ToolResult(
        "tool",
        text_of(output),
        call_id=call.id,
        name=call.name,
        data=output,
        citations=citations_of(output, str(started.id)),
        step_key=started.key,
    )


def check_input(arguments: Mapping[str, Any], to: Delegate) -> None:
    """Check what an agent is handed by the schema of its input; raises InvalidArguments."""
    try:
        faults = list(faults_by_schema(dict(arguments), to.schema))
    except Unfit as error:
        raise InvalidArguments(f"The input schema of the agent {to.agent.name} can't be used: {error}") from error
    if faults:
        raise InvalidArguments(f"The arguments of {to.tool} are not right. {'; '.join(faults)}")


def failure(call: ToolCall, type: str, message: str) -> ToolResult:
    """Tell a model that what it asked for has failed."""
    text = f"{type}: {message}"
    return ToolResult("tool", text, call_id=call.id, name=call.name, ok=False, error=type)


def text_of(output: JSON) -> str:
    """Give what a run has come to in words: its text, or its output as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, dict) and isinstance(output.get("text"), str):
        return str(output["text"])
    return encode(output)


def citations_of(output: JSON, run: str) -> tuple[Citation, ...]:
    """Give the citations of a run's output, each with the run and the step that found it."""
    cited = output.get("citations") if isinstance(output, dict) else None
    listed = [one for one in cited if isinstance(one, dict) and one.get("source")] if isinstance(cited, list) else []
    return tuple(Citation.from_json({**one, "run": one.get("run") or run}) for one in listed)
