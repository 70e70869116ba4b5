"""The workflow "map": one agent over many inputs, in windows, with progress; what it holds does not grow with them.

What became of each input stays with its sub-run: agents/services/results.py reads them page by page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.engine import Context, Permanent, workflow
from agents.engine.canonical import JSON
from agents.engine.windows import MOST, WIDTH, Failed
from agents.workflows.options import Fault, checks_options, faults_in, read_options, unknown_agents

MAX_INPUTS = 10_000
PROGRESS = "map"
MAX_SHOWN = 100
"""Failures that the run's output names."""


class MapOptions(BaseModel):
    """The options of a map.

    `agent` is the sub-agent, by default the only one there is; `width` how many inputs are under way at once. An input
    that fails is left out ("leave_out"), tried again `retries` times ("retry"), or ends the run ("stop").
    """

    model_config = ConfigDict(extra="forbid")

    agent: str = ""
    width: int = Field(WIDTH, ge=1, le=MOST)
    on_failure: Literal["leave_out", "retry", "stop"] = "leave_out"
    retries: int = Field(1, ge=1, le=5)


class BadInputs(Permanent):
    """The input is no list of inputs, or of too many."""


class InputFailed(Permanent):
    """An input failed, and the run is to end with it."""


@workflow("map")
async def map_inputs(ctx: Context, input: JSON) -> JSON:
    """Run one agent on each of the inputs: `{"inputs": [goal or input, …]}`."""
    options = read_options(MapOptions, ctx)
    inputs, target = _inputs(input), await _target(ctx, options)
    await ctx.emit(PROGRESS, {"done": 0, "failed": 0, "of": len(inputs)})
    failed = await _work(ctx, target, inputs, range(len(inputs)), options, len(inputs))
    for _ in range(options.retries if options.on_failure == "retry" else 0):
        if not failed:
            break
        numbers = [one.number for one in failed]
        failed = await _work(ctx, target, [inputs[number] for number in numbers], numbers, options, len(inputs))
    shown = [{"number": one.number, "type": one.type, "message": one.message} for one in failed[:MAX_SHOWN]]
    return {"count": len(inputs), "succeeded": len(inputs) - len(failed), "failed": len(failed), "failures": shown}


async def _work(
    ctx: Context, target: str, inputs: Sequence[JSON], numbers: Sequence[int], options: MapOptions, count: int
) -> list[Failed]:
    failed: list[Failed] = []
    done = count - len(inputs)
    async for window in ctx.each(target, inputs, numbers=numbers, width=options.width):
        failed += window.failed
        done += window.succeeded
        await ctx.emit(PROGRESS, {"done": done, "failed": len(failed), "of": count})
        if window.failed and options.on_failure == "stop":
            first = window.failed[0]
            raise InputFailed(f"Input {first.number} failed: {first.type}: {first.message}")
    return failed


def _inputs(input: JSON) -> list[JSON]:
    given: Any = input.get("inputs") if isinstance(input, dict) else input
    if not isinstance(given, list) or not given:
        raise BadInputs('This workflow needs a list of inputs: ["…", …], or {"inputs": ["…", …]}.')
    if len(given) > MAX_INPUTS:
        raise BadInputs(f"There are {len(given)} inputs; at most {MAX_INPUTS} are taken.")
    return [{"goal": one} if isinstance(one, str) else one for one in given]


async def _target(ctx: Context, options: MapOptions) -> str:
    present = [agent.name for agent in await ctx.sub_agents()]
    if options.agent in present or (not options.agent and len(present) == 1):
        return options.agent or present[0]
    named = f"the agent {options.agent!r}" if options.agent else "one agent"
    raise Permanent(f"This map needs {named} among its sub-agents. There are: {', '.join(present) or 'none'}.")


@checks_options("map")
def _check(options: Mapping[str, Any], sub_agents: Sequence[str]) -> list[Fault]:
    if faults := faults_in(MapOptions, options):
        return faults
    if not options.get("agent") and len(sub_agents) != 1:
        return [Fault("agent", "Name the sub-agent that works on the inputs: there is not exactly one.")]
    return unknown_agents({"agent": str(options.get("agent", ""))}, sub_agents)
