"""The agents that a run may delegate to; what is said of them is recorded, as models are shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.engine.canonical import digest, encode
from agents.engine.plans import Plan
from agents.engine.ports import SubAgent
from agents.engine.recording import finish_step, outcome_of, record_step

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

FIELDS = ("name", "description", "workflow", "input_schema")


async def describe(x: Execution, scope: Scope) -> tuple[SubAgent, ...]:
    """Describe the sub-agents of the run's agent; those that are gone by now are left out."""
    names = x.agent.sub_agents if x.agent else ()
    if not names:
        return ()
    key = scope.next_key("sub_agents")
    record = x.steps.get(key)
    if record is None:
        await x.gate()
        found = await x.host.sub_agents(x.claimed.workspace_id, names)
        await x.gate()
        described = [{field: getattr(agent, field) for field in FIELDS} for agent in found]
        plan = Plan("step", "sub_agents", "sub-agents", digest(list(names)))
        # It rides the batch of the next step: lost with it, it is simply asked again.
        record = finish_step(x, record_step(x, key, plan), encode(described))
    scope.saw(record.finished_at)
    return tuple(SubAgent(**one) for one in await outcome_of(x, record))
