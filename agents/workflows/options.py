"""The options of workflows: read by a run, and checked before an agent with them is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agents.engine import Context, Permanent

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an option; `field` is its path, as in `stages.0.agent`, "" for the options as a whole."""

    field: str
    message: str


Check = Callable[[Mapping[str, Any], Sequence[str]], list[Fault]]
"""Says what is wrong with the options of an agent that has these sub-agents."""

_checks: dict[str, Check] = {}


class BadOptions(Permanent):
    """The agent's options are not those of its workflow."""


def checks_options(workflow: str) -> Callable[[Check], Check]:
    """Register the check of a workflow's options."""

    def register(check: Check) -> Check:
        _checks[workflow] = check
        return check

    return register


def validate_options(workflow: str, options: Mapping[str, Any], sub_agents: Sequence[str] = ()) -> list[Fault]:
    """Say what is wrong with the options of an agent of this workflow; nothing for a workflow without a check."""
    check = _checks.get(workflow)
    return check(options, sub_agents) if check else []


def faults_in(form: type[BaseModel], options: Mapping[str, Any]) -> list[Fault]:
    """Say what of the options does not fit the form."""
    try:
        form.model_validate(options)
    except ValidationError as error:
        return [
            Fault(".".join(map(str, fault["loc"])), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    return []


def read_options(form: type[Options], ctx: Context) -> Options:
    """Give the options of a run's agent; raises BadOptions."""
    options = ctx.agent.options if ctx.agent else {}
    try:
        return form.model_validate(options)
    except ValidationError as error:
        told = "; ".join(f"{fault.field or 'options'}: {fault.message}" for fault in faults_in(form, options))
        raise BadOptions(f"The options of this agent are not right. {told}") from error


def unknown_agents(named: Mapping[str, str], sub_agents: Sequence[str]) -> list[Fault]:
    """Say which of the agents that options name, by the option's path, are no sub-agents."""
    return [
        Fault(field, f"{name!r} is not among the sub-agents.")
        for field, name in named.items()
        if name and name not in sub_agents
    ]
