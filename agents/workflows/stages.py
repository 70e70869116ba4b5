"""The stages of a pipeline as data: what each does and takes, what it needs, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents import matching
from agents.workflows.options import Fault, checks_options, faults_in, unknown_agents
from agents.workflows.places import PATH, faults_in_places, paths_in

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,39}$"
MAX_STAGES = 50
MAX_ITEMS = 1_000
"""Of a list that a stage is mapped over: what more items come to is the work of a `map`."""
WIDTH = 8
INPUT, STAGES = "input", "stages"
OF_ITEM = ("item", "number")
DEFAULT_INPUT = "{{ input }}"


class Stage(BaseModel):
    """A stage: an agent's run on an input, or with `join` values put together.

    `input` and `join` are templates of JSON with places, `{{ input.… }}` and `{{ stages.<name>.… }}`. With `map`, a
    path to a list, the agent runs on each of its items, `width` at once; `item` and `number` are theirs. A stage begins
    when those it takes from and those in `after` have ended, and if `when` holds. An agent that fails is tried again
    `retries` times; what then fails stops the pipeline or, with "leave_out", is null to those that take from it.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME)
    agent: str = ""
    input: Any = None
    map: str = Field("", pattern=f"^(?:{PATH})?$")
    width: int = Field(WIDTH, ge=1, le=200)
    join: Any = None
    when: dict[str, Any] | None = None
    after: list[str] = []
    on_failure: Literal["stop", "leave_out"] = "stop"
    retries: int = Field(0, ge=0, le=5)

    @property
    def template(self) -> Any:
        """What the stage hands to its agent, or puts together."""
        if self.join is not None:
            return self.join
        return DEFAULT_INPUT if self.input is None else self.input

    @property
    def taken(self) -> list[str]:
        """The paths of the values that the stage takes."""
        return list(dict.fromkeys([*paths_in(self.template), *([self.map] if self.map else [])]))

    @property
    def sources(self) -> list[str]:
        """The stages it takes values from."""
        return _named(self.taken)

    @property
    def needs(self) -> list[str]:
        """The stages that have to have ended before it begins."""
        return list(dict.fromkeys([*self.sources, *_named(_paths_of(self.when or {})), *self.after]))


class PipelineOptions(BaseModel):
    """The options of a pipeline: its stages, and as `output` a template of the answer, by default the last stage's."""

    model_config = ConfigDict(extra="forbid")

    stages: list[Stage] = Field(min_length=1, max_length=MAX_STAGES)
    output: Any = None


@checks_options("pipeline")
def faults_of(options: Mapping[str, Any], sub_agents: Sequence[str]) -> list[Fault]:
    """Say what is wrong with a pipeline's options, and where."""
    if faults := faults_in(PipelineOptions, options):
        return faults
    pipeline = PipelineOptions.model_validate(options)
    names = [stage.name for stage in pipeline.stages]
    faults = [*_unequal(names)]
    agents = {f"stages.{number}.agent": stage.agent for number, stage in enumerate(pipeline.stages)}
    faults += unknown_agents(agents, sub_agents)
    for number, stage in enumerate(pipeline.stages):
        faults += [Fault(f"stages.{number}.{field}", said) for field, said in _stage_faults(stage, names)]
    faults += [Fault("output", said) for said in _place_faults(pipeline.output, names, of_item=False)]
    return faults or _circles(pipeline.stages)


def _unequal(names: Sequence[str]) -> Iterator[Fault]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Fault(f"stages.{number}.name", f"There is another stage named {name!r}.")


def _stage_faults(stage: Stage, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    is_join = stage.join is not None
    filled = "join" if is_join else "input"
    if bool(stage.agent) == is_join:
        yield "agent", "A stage has either an agent or a join."
    if is_join:
        yield from ((field, "A join has none.") for field in ("input", "map", "retries") if getattr(stage, field))
    for said in _place_faults(stage.template, names, of_item=bool(stage.map)):
        yield filled, said
    if stage.map and (said := _path_fault(stage.map, names, of_item=False)):
        yield "map", said
    for said in _when_faults(stage.when, names):
        yield "when", said
    for name in stage.after:
        if name not in names:
            yield "after", f"There is no stage named {name!r}."
    if stage.name in stage.needs:
        yield filled, "A stage takes nothing from itself."


def _when_faults(when: Mapping[str, Any] | None, names: Sequence[str]) -> Iterator[str]:
    told = [] if when is None else matching.problems(when)
    yield from told
    if when is not None and not told:
        yield from filter(None, (_path_fault(path, names, of_item=False) for path in _paths_of(when)))


def _place_faults(template: Any, names: Sequence[str], *, of_item: bool) -> Iterator[str]:
    yield from faults_in_places(template)
    for path in dict.fromkeys(paths_in(template)):
        if said := _path_fault(path, names, of_item=of_item):
            yield said


def _path_fault(path: str, names: Sequence[str], *, of_item: bool) -> str:
    root, *rest = path.split(".")
    if root in OF_ITEM:
        return "" if of_item else f"{path}: there are items only in the input of a stage with a map."
    if root == STAGES:
        if not rest:
            return f"{path}: name the stage, as {STAGES}.{names[0]}.text."
        return (
            "" if rest[0] in names else f"{path}: there is no stage named {rest[0]!r}. There are: {', '.join(names)}."
        )
    if root == INPUT:
        return ""
    return f"{path}: a path begins with {INPUT} or {STAGES}{', item or number' if of_item else ''}."


def _circles(stages: Sequence[Stage]) -> list[Fault]:
    try:
        TopologicalSorter({stage.name: stage.needs for stage in stages}).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        return [Fault("stages", f"These stages wait for each other: {' → '.join(circle)}.")]
    return []


def _named(paths: Sequence[str]) -> list[str]:
    """Give the stages that paths lead to."""
    parts = [path.split(".") for path in paths]
    return list(dict.fromkeys(part[1] for part in parts if part[0] == STAGES and len(part) > 1))


def _paths_of(condition: Mapping[str, Any]) -> list[str]:
    """Give the paths in a condition."""
    inner = [*condition.get("and", ()), *condition.get("or", ()), *([condition["not"]] if "not" in condition else [])]
    own = condition.get("path")
    if own is None:
        return [path for part in inner if isinstance(part, Mapping) for path in _paths_of(part)]
    return [own if isinstance(own, str) else ".".join(map(str, own))]
