"""The workflow "pipeline": stages as data, each begun when what it takes is there, those that need nothing at once.

What a stage came to is `stages.<name>` for those that follow: `text`, `value` (what has a form, else null), `output`
(as the agent gave it), and of a stage with a map `items`, `texts` and `values` in the order of the list. All sources
are numbered through: an answer that cites nothing itself cites by the marks that it was handed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.engine import Context, Permanent, workflow
from agents.engine.canonical import JSON
from agents.engine.messages import Citation, Reply
from agents.matching import MISSING, matches, value_at
from agents.workflows.options import BadOptions, read_options
from agents.workflows.places import fill
from agents.workflows.sources import Sources
from agents.workflows.stage_results import DONE, LEFT_OUT, SKIPPED, Result, joined, mapped, nothing, result_of
from agents.workflows.stages import INPUT, MAX_ITEMS, STAGES, PipelineOptions, Stage, faults_of
from agents.workflows.sub_runs import Outcome, run_agent

PROGRESS = "stage"


class StageFailed(Permanent):
    """A stage has failed, and the pipeline is to end with it."""


@workflow("pipeline")
async def pipeline(ctx: Context, input: JSON) -> JSON:
    """Carry out the stages of the agent's options; the answer is the `output` template, or what the last stage gave."""
    options = read_options(PipelineOptions, ctx)
    if faults := faults_of(ctx.agent.options if ctx.agent else {}, ctx.agent.sub_agents if ctx.agent else ()):
        raise BadOptions(f"The stages can't be carried out. {faults[0].field}: {faults[0].message}")
    line = Line(ctx, input, options.stages)
    await line.run()
    return line.answer(options.output)


@dataclass(slots=True)
class Line:
    """The stages of a run under way, and what became of them."""

    ctx: Context
    input: JSON
    stages: Sequence[Stage]
    _results: dict[str, Result] = field(default_factory=dict)
    _sources: Sources = field(default_factory=Sources)

    async def run(self) -> None:
        """Carry out all stages; raises StageFailed."""
        pool, running, waiting = self.ctx.pool(), dict[int, Stage](), list(self.stages)
        while waiting or running:
            ready = [stage for stage in waiting if all(need in self._results for need in stage.needs)]
            waiting = [stage for stage in waiting if stage not in ready]
            for stage in ready:
                if why := self._skips(stage):
                    await self._ended(stage, nothing(SKIPPED, why))
                else:
                    await self._tell(stage, "started")
                    running[pool.add(self._do(stage))] = stage
            if running:
                index, result = await pool.next()
                await self._ended(running.pop(index), result)

    def answer(self, template: JSON) -> JSON:
        """Give the run's output: the answer with its citations, and what became of each stage."""
        if template is None:
            done = [one for stage in self.stages if (one := self._results[stage.name])["state"] == DONE]
            given = done[-1] if done else nothing(SKIPPED, "")
            value = given["text"] if given["value"] is None else given["value"]
        else:
            value = fill(template, self._values())
        is_text = value is None or isinstance(value, str)
        reply = Reply("assistant", value or "") if is_text else Reply("assistant", "", output=value)
        told = ("state", "run", "why")
        states = [
            {"name": stage.name, **{name: one[name] for name in told if one.get(name)}}
            for stage in self.stages
            for one in [self._results[stage.name]]
        ]
        return {**self._sources.answer(reply), "stages": states}

    def _values(self) -> dict[str, Any]:
        return {
            INPUT: self.input,
            STAGES: {name: one if one["state"] == DONE else None for name, one in self._results.items()},
        }

    def _skips(self, stage: Stage) -> str:
        """Say why a stage is not carried out; nothing if it is."""
        states = [self._results[name]["state"] for name in stage.sources]
        if states and DONE not in states:
            return f"There is nothing from {', '.join(stage.sources)}."
        if stage.when is not None and not matches(stage.when, self._values()):
            return "Its condition does not hold."
        return ""

    async def _do(self, stage: Stage) -> Result:
        """Carry out a stage: whatever goes wrong in it is in its result."""
        try:
            if stage.join is not None:
                return joined(fill(stage.join, self._values()))
            return await self._map(stage) if stage.map else result_of(await self._call(stage, {}))
        except Permanent as refused:
            return nothing(LEFT_OUT, f"{refused.type}: {refused}")

    async def _call(self, stage: Stage, more: Mapping[str, Any]) -> Outcome:
        filled = fill(stage.template, {**self._values(), **more})
        given = {"goal": filled} if isinstance(filled, str) else filled
        return await run_agent(self.ctx, stage.agent, given, retries=stage.retries)

    async def _map(self, stage: Stage) -> Result:
        """Run the agent on each item, so many at once; what came of them is in the order of the list."""
        items, pool = self._items(stage), self.ctx.pool()
        results: dict[int, Result] = {}
        places: dict[int, int] = {}
        left = list(range(len(items)))
        while left or places:
            while left and len(places) < stage.width:
                number = left.pop(0)
                places[pool.add(self._call(stage, {"item": items[number], "number": number + 1}))] = number
            index, outcome = await pool.next()
            number = places.pop(index)
            results[number] = result = result_of(outcome)
            if result["state"] != DONE and stage.on_failure == "stop":
                raise Permanent(f"Item {number + 1} failed. {result['why']}", "ItemFailed")
            await self._tell(stage, "item", number=number + 1, items=len(items), ended=len(results))
        return mapped(items, [results[number] for number in range(len(items))])

    def _items(self, stage: Stage) -> list[Any]:
        items = value_at(self._values(), stage.map)
        if items is MISSING or not isinstance(items, list):
            raise Permanent(f"{stage.map} is no list.", "BadList")
        if len(items) > MAX_ITEMS:
            raise Permanent(f"{stage.map} has {len(items):,} items; a stage takes {MAX_ITEMS:,} at most.", "BadList")
        return items

    async def _ended(self, stage: Stage, result: Result) -> None:
        self._results[stage.name] = result = self._numbered(result)
        is_end = result["state"] == LEFT_OUT and stage.on_failure == "stop"
        more = {name: result[name] for name in ("run", "why") if result.get(name)}
        await self._tell(stage, "failed" if is_end else result["state"], **more)
        if is_end:
            raise StageFailed(f"Stage {stage.name!r} failed. {result['why']}")

    def _numbered(self, result: Result) -> Result:
        """Give a result with its marks as all sources of the pipeline are numbered."""
        if "items" in result:
            return mapped(result["list"], [self._numbered(one) for one in result["items"]])
        if not result["citations"]:
            return result
        renumber = self._sources.take_over([Citation.from_json(one) for one in result["citations"]])
        return {**result, **{name: renumber(result[name]) for name in ("text", "value", "output")}}

    async def _tell(self, stage: Stage, state: str, **more: JSON) -> None:
        data = {"name": stage.name, "agent": stage.agent, "state": state, **more}
        await self.ctx.emit(PROGRESS, {**data, "done": len(self._results), "of": len(self.stages)})
