"""Whether a tool call may be made: by the run's own tools, and by a person's word where one is needed.

What is recorded holds in every replay: a call that has begun is not judged again, whatever has become of the policy, of
the tool's declaration or of the trust in the run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from agents.engine.asking import Decision, Question, ask_again, ask_person, decision_of, refuse
from agents.engine.canonical import decode
from agents.engine.errors import StepFailed
from agents.engine.messages import ToolCall
from agents.engine.ports import AgentConfig, Need
from agents.engine.records import Claimed

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

_PREFIX = "tool:"


@dataclass(frozen=True, slots=True)
class Leave:
    """A call as it may be made: a person may have edited its arguments. `is_given` says that a person was asked."""

    call: ToolCall
    is_given: bool = False


def tools_of(claimed: Claimed, agent: AgentConfig | None) -> tuple[str, ...] | None:
    """Give the tools that a run may use: its agent's, as far as the run above it has them. None: all there are."""
    above = None if claimed.tools is None else tuple(decode(claimed.tools))
    if agent is None:
        return above
    return agent.tools if above is None else tuple(tool for tool in agent.tools if tool in above)


async def permitted(x: Execution, scope: Scope, call: ToolCall, because: str = "") -> Leave:
    """Give leave to a call; raises StepFailed if it may not be made. `because` is what the tool said without leave."""
    key = scope.coming_key(f"{_PREFIX}{call.name}")
    if key in x.steps:
        return await _as_decided(x, scope, call, key)
    if not x.may_use(call.name):
        allowed = ", ".join(x.tools or ()) or "none"
        raise StepFailed("ToolNotAllowed", f"This run may not use the tool {call.name!r}. Tools: {allowed}.", key)
    need = await x.host.ports.tools.needs_approval(
        call.name,
        dict(call.arguments),
        workspace_id=x.claimed.workspace_id,
        is_tainted=x.is_tainted,
        because=because or _wish_of(x, call.name),
    )
    if need is None:
        # Perhaps it was needed when the run came here last: then what a person said holds.
        return await _as_decided(x, scope, call, key)
    asked, question = _asking_key(scope, key), _question(call, need)
    while True:
        decision = decision_of(await ask_person(x, scope, asked, question))
        fault = _fault_of(x, decision, need)
        if not fault:
            return _leave(scope, call, decision, asked)
        ask_again(x, question, x.steps[asked], fault)


def _wish_of(x: Execution, tool: str) -> str:
    """Say why the run's agent wants to be asked about each call of a tool; nothing if it does not.

    It can want more to be asked than the workspace does, never less.
    """
    wishes = x.agent.approvals if x.agent else {}
    if tool in (wishes.get("tools") or ()):
        return f"The agent asks before each call of {tool}."
    has_effect = any(spec.effect != "none" for spec in x.host.ports.tools.specs([tool])) if wishes else False
    if wishes.get("policy") == "always" and has_effect:
        return "The agent asks before each call that has an effect."
    return ""


async def _as_decided(x: Execution, scope: Scope, call: ToolCall, key: str) -> Leave:
    asked = _asking_key(scope, key)
    if asked not in x.steps:
        return Leave(call)
    decided = await ask_person(x, scope, asked, _question(call, Need()))
    return _leave(scope, call, decision_of(decided), asked)


def _fault_of(x: Execution, decision: Decision, need: Need) -> str:
    """Say why an approval can't be used any more."""
    if not decision.is_approved:
        return ""
    if decision.described != need.described:
        return "It was approved, but the tool has changed since."
    if decision.expires_at < x.host.clock.now():
        return "It was approved, but not used in time."
    return ""


def _leave(scope: Scope, call: ToolCall, decision: Decision, key: str) -> Leave:
    if not decision.is_approved:
        # Its number is used up all the same: the next call of this tool is another one.
        scope.next_key(f"{_PREFIX}{call.name}")
        refuse(decision.verdict, "call", decision.comment, key)
    return Leave(replace(call, arguments=decision.arguments), is_given=True)


def _question(call: ToolCall, need: Need) -> Question:
    return Question(
        kind="approve",
        subject=call.name,
        arguments=dict(call.arguments),
        effect=need.effect,
        why=need.why,
        form=need.form,
        tool=call.name,
        described=need.described,
        lasts=timedelta(seconds=need.lasts),
    )


def _asking_key(scope: Scope, key: str) -> str:
    """Give the key under which the call of this key is asked about."""
    return f"{scope.path}approve:{key[len(scope.path) + len(_PREFIX) :]}"
