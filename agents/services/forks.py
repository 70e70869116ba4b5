"""Forks: runs that go on from a step of another, perhaps with what came out of it, or with the input, edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agents.engine import forking
from agents.engine.canonical import JSON, decode, digest
from agents.engine.caps import Caps
from agents.engine.database_clock import database_now
from agents.engine.registry import known_workflows
from agents.models import AgentVersion, Run, Step, User
from agents.services.budgets import deadline_of
from agents.services.errors import InvalidInput, NotFound
from agents.services.outcomes import edited_outcome, outcome_of
from agents.services.previews import chosen_step
from agents.services.runs import accept_run, check_options, checked_input, input_text, name_of

log = structlog.get_logger(__name__)


class Unchanged:
    """Stands for what is not edited: null is an outcome too."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True)
class PlannedFork:
    """A fork that can be made. `input` is JSON text, None for the origin's."""

    division: forking.Division
    chosen: Step | None
    edit: forking.Edit | None
    input: str | None
    version: AgentVersion | None
    workflow: str

    @property
    def edited(self) -> str:
        """What a person has edited."""
        return "outcome" if self.edit is not None else "" if self.input is None else "input"


def plan_fork(
    run: Run,
    *,
    step: str = "",
    outcome: JSON | Unchanged = UNCHANGED,
    input: JSON | Unchanged = UNCHANGED,
    version: int | None = None,
    by: User | None,
) -> PlannedFork:
    """Check what is wanted of a fork, and divide the run's steps; starts nothing. Arguments and errors: `fork_run`."""
    steps = forking.steps_to_divide(run)
    chosen = chosen_step(steps, step)
    edit = _edit(chosen, outcome, by)
    if edit is not None and not isinstance(input, Unchanged):
        raise InvalidInput("A fork has either an outcome or the input edited, not both.", "input")
    division = forking.divide(steps, chosen, is_edited=edit is not None)
    pinned = _version(run, version)
    if not isinstance(input, Unchanged):
        checked_input(pinned, input_text(input))
    return PlannedFork(
        division=division,
        chosen=chosen,
        edit=edit,
        input=None if isinstance(input, Unchanged) else input_text(input),
        version=pinned,
        workflow=_workflow(run, pinned, has_copies=bool(division.kept) or edit is not None),
    )


def fork_run(
    run: Run,
    *,
    step: str = "",
    outcome: JSON | Unchanged = UNCHANGED,
    input: JSON | Unchanged = UNCHANGED,
    version: int | None = None,
    by: User | None,
    idempotency_key: str = "",
) -> Run:
    """Start a run with copies of what is recorded of another before a step, or with nothing of it without a `step`.

    With an `outcome` the step counts as done with it; otherwise it is executed anew. With an `input` the fork has that
    one, and reuses its copies all the same. `version` is a number of the same agent's; without it, the fork is pinned
    to the version that the run is. Raises NotFound for an unknown step or version, and InvalidInput.
    """
    check_options(run.priority, run.tags, idempotency_key)
    plan = plan_fork(run, step=step, outcome=outcome, input=input, version=version, by=by)
    written = None if plan.edit is None else [plan.edit.outcome]
    fork = _planned_run(run, plan, {"step": step, "edited": plan.edited, "by": name_of(by)})
    fork.created_by, fork.idempotency_key = by, idempotency_key
    fork.request_digest = digest(["fork", run.pk, step, written, plan.input, version])
    accepted = accept_run(
        fork,
        told={"forked_from": str(run.pk), **fork.fork},
        along=lambda: forking.write_copies(fork, run, plan.division, chosen=plan.chosen, edit=plan.edit),
    )
    log.info("run_forked", run=str(accepted.pk), origin=str(run.pk), **fork.fork)
    return accepted


def _planned_run(run: Run, plan: PlannedFork, told: Mapping[str, JSON]) -> Run:
    """Make the fork, unsaved; what it does not have by its plan it has from the run."""
    fork = Run(
        workspace_id=run.workspace_id,
        agent_version=plan.version,
        workflow=plan.workflow,
        input=run.input if plan.input is None else decode(plan.input),
        priority=run.priority,
        tags=run.tags,
        tools=run.tools,
        budget=run.budget,
        tainted=_is_tainted(run, plan),
        forked_from_id=run.pk,
        fork=dict(told),
        source="fork",
        created_at=database_now(),
        last_event=1,
        # It has been told its history: whoever takes it reads that first.
        wakes=1,
        steps_done=forking.count_copies(plan.division, is_edited=plan.edit is not None),
    )
    fork.deadline_at = deadline_of(Caps.of(fork.budget), fork.created_at)
    return fork


def _edit(chosen: Step | None, outcome: Any, by: User | None) -> forking.Edit | None:
    if isinstance(outcome, Unchanged):
        return None
    if chosen is None:
        raise InvalidInput("Name the step whose outcome is edited.", "step")
    present = outcome_of(Step.objects.get(pk=chosen.pk))
    return forking.Edit(edited_outcome(chosen, present, outcome), name_of(by))


def _version(run: Run, number: int | None) -> AgentVersion | None:
    if number is None:
        return run.agent_version
    if run.agent_version is None:
        raise InvalidInput("A run without an agent has no versions to choose from.", "version")
    versions = AgentVersion.objects.select_related("agent").filter(agent=run.agent_version.agent_id)
    found = versions.filter(number=number).first()
    if found is None:
        raise NotFound(f"The agent {run.agent_version.agent.name!r} has no version {number}.")
    return found


def _workflow(run: Run, pinned: AgentVersion | None, *, has_copies: bool) -> str:
    """Give the workflow of the fork; raises InvalidInput for one that can make nothing of the copies, or is unknown."""
    name = pinned.workflow if pinned is not None and pinned.pk != run.agent_version_id else run.workflow
    if name not in known_workflows():
        raise InvalidInput(f"There is no workflow named {name!r} any more.", "version")
    if has_copies and name != run.workflow:
        message = f"That version runs another workflow ({name}); a fork with copies goes on with {run.workflow}."
        raise InvalidInput(message, "version")
    return name


def _is_tainted(run: Run, plan: PlannedFork) -> bool:
    """Whether strangers may have written what the fork begins with.

    By the copies; and a run that has not begun with a clean slate itself may have brought it along.
    """
    if not run.tainted:
        return False
    if run.parent_id is not None or run.forked_from_id is not None or run.source == "thread":
        return True
    edited = [plan.chosen] if plan.chosen is not None and plan.edit is not None else []
    has_read = any(step.tainted for step in (*plan.division.kept, *edited))
    return has_read or not Step.objects.of(run.pk).filter(tainted=True).exists()
