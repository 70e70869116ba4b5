"""Starting, stopping and steering runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Literal

from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, OperationalError, connection, transaction

from agents.engine import control, pausing, retrying
from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.caps import Caps
from agents.engine.database_clock import database_now
from agents.engine.deciding import decision_name
from agents.engine.errors import NotEncodable
from agents.engine.ranking import Place, take_place
from agents.engine.registry import known_workflows
from agents.engine.schemas import mismatch_of
from agents.models import Agent, AgentVersion, Run, RunEvent, RunStatus, User, Wait, WaitKind, Workspace
from agents.services.accepting import write_run
from agents.services.budgets import caps_of, deadline_of
from agents.services.errors import Conflict, IdempotencyConflict, InFlight, InvalidInput, NotFound
from agents.services.publishing import version_of

MAX_INPUT = 1_000_000
MAX_TAGS = 20
MAX_TAG = 50
MAX_KEY = 200
IN_FLIGHT_SECONDS = 5
"""How long a request waits for the first one with its idempotency key. (On SQLite, as long as for any other writer.)"""
PRIORITIES = range(-10, 11)
LOCK_NOT_AVAILABLE = "55P03"

Choice = Literal["reuse", "rerun", "done", "retry", "give_up"]
CHOICES: dict[str, tuple[Choice, ...]] = {
    WaitKind.CHANGED: ("reuse", "rerun", "give_up"),
    WaitKind.UNKNOWN: ("done", "retry", "give_up"),
}


def start_run(
    *,
    workspace: Workspace,
    input: JSON,
    agent: Agent | None = None,
    version: int | None = None,
    workflow: str = "",
    by: User | None = None,
    priority: int = 0,
    tags: Sequence[str] = (),
    not_before: datetime | None = None,
    idempotency_key: str = "",
    source: str = "api",
    budget: Mapping[str, float] | None = None,
    tainted: bool = False,
    told: Mapping[str, JSON] | None = None,
) -> Run:
    """Accept a run of an agent, or of a workflow by its name, and queue it in the caller's transaction.

    The run is pinned to the agent's current version, or to the one named. A bare string as input means `{"goal": …}`.
    `budget` lowers the caps of the run's tree that its agent and the workspace set. With an idempotency key that this
    workspace used before, the earlier run is given back. Raises InvalidInput, also for an input that the agent's schema
    does not take, IdempotencyConflict for a known key with another request, and InFlight when the first request with
    the key takes long. `tainted` says that strangers may have written the input; `told` goes into the run's first
    event.
    """
    pinned, name = target_of(workspace, agent, workflow, version)
    check_options(priority, tags, idempotency_key)
    text = input_text(input)
    caps = caps_of(workspace, pinned, budget)
    asked = [_asked(agent, version), workflow, text, priority, list(tags), not_before]
    run = Run(workspace=workspace, agent_version=pinned, workflow=name, input=checked_input(pinned, text), last_event=1)
    run.priority, run.tags, run.budget = priority, list(tags), caps.told() or None
    run.created_by, run.source, run.idempotency_key, run.tainted = by, source, idempotency_key, tainted
    run.request_digest = digest([*asked, dict(budget)] if budget else asked)
    return _enqueue(run, caps, not_before, told)


def _enqueue(run: Run, caps: Caps, not_before: datetime | None, told: Mapping[str, JSON] | None) -> Run:
    """Accept a new run: due now, or not before a time; its clock begins when it may begin."""
    # With a key, all that may have to wait for the first request with it has a limit: within one transaction.
    place = None if run.idempotency_key else take_place(run.workspace_id, run.priority)
    run.created_at = place.at if place else database_now()
    run.deadline_at = deadline_of(caps, max(run.created_at, not_before or run.created_at))
    return accept_run(run, _delay(run, not_before), place, told=told)


def accept_run(
    run: Run,
    wait: Wait | None = None,
    place: Place | None = None,
    *,
    told: Mapping[str, JSON] | None = None,
    along: Callable[[], None] | None = None,
) -> Run:
    """Write the run with its first event; gives the run that was started with the same key, if one was.

    `told` goes into the event; `along` writes what belongs to the run, in the same transaction.
    """
    data = {"by": name_of(run.created_by), "source": run.source, **(told or {})}
    event = RunEvent(run=run, number=1, kind="run_queued", at=run.created_at, data=data)
    try:
        _write(run, event, wait, place, along)
    except IntegrityError:
        earlier = earlier_run(run)
        if earlier is None:
            raise
        return earlier
    return run


def _write(run: Run, event: RunEvent, wait: Wait | None, place: Place | None, along: Callable[[], None] | None) -> None:
    """Write the run; raises IntegrityError for a key used before, InFlight for one that is being used."""
    try:
        with transaction.atomic() if run.idempotency_key or along else nullcontext():
            if run.idempotency_key:
                _limit_waiting()
            write_run(run, event, wait, place)
            if along is not None:
                along()
    except OperationalError as error:
        if not (run.idempotency_key and _waited_in_vain(error)):
            raise
        raise InFlight("A request with this Idempotency-Key is still being accepted; try again in a moment.") from error


def earlier_run(run: Run) -> Run | None:
    """Give the run that was started with the same key; raises IdempotencyConflict if by another request."""
    if not run.idempotency_key:
        return None
    earlier = Run.objects.filter(workspace=run.workspace, idempotency_key=run.idempotency_key).first()
    if earlier is not None and earlier.request_digest != run.request_digest:
        raise IdempotencyConflict(
            "This Idempotency-Key was used before with another request; use a new key for a new run."
        )
    return earlier


def cancel_run(run: Run, *, by: User | None) -> Run:
    """Cancel a run and all runs below it. A run that has ended already stays as it is."""
    control.cancel(run.pk, by=name_of(by))
    run.refresh_from_db()
    return run


def pause_run(run: Run, *, by: User | None) -> Run:
    """Let a run start no more steps until it is resumed; raises Conflict for one that can't be paused."""
    try:
        pausing.pause(run.pk, by=name_of(by))
    except control.CannotDo as error:
        raise Conflict(str(error)) from error
    run.refresh_from_db()
    return run


def resume_run(run: Run, *, by: User | None) -> Run:
    """Let a paused run go on; raises Conflict for one that is not paused."""
    try:
        pausing.resume(run.pk, by=name_of(by))
    except control.CannotDo as error:
        raise Conflict(str(error)) from error
    run.refresh_from_db()
    return run


def retry_run(run: Run, *, by: User | None) -> Run:
    """Let a failed or cancelled run go on from where it failed; recorded steps are not done again."""
    try:
        retrying.retry(run.pk, by=name_of(by))
    except control.CannotDo as error:
        raise Conflict(str(error)) from error
    run.refresh_from_db()
    return run


def decide_step(run: Run, *, key: str, choice: str, outcome: JSON = None, by: User | None) -> Run:
    """Answer what a run asks about a step: its workflow changed there, or its outcome is unknown.

    Raises NotFound if the run asks nothing about this step, InvalidInput for a choice that it does not offer.
    """
    wait = Wait.objects.filter(run=run, key=decision_name(key), kind__in=CHOICES).first()
    if wait is None:
        raise NotFound(f"The run does not ask about a step {key!r}.")
    offered = CHOICES[wait.kind]
    if choice not in offered:
        raise InvalidInput(f"Choose one of: {', '.join(offered)}.", "choice")
    data = {"choice": choice, "outcome": decode(_encoded(outcome, "outcome")), "by": name_of(by)}
    # One decision per question: a double click or a second person changes nothing.
    control.tell(run.pk, decision_name(key), data, token=f"decide:{wait.pk}")
    run.refresh_from_db()
    return run


def target_of(
    workspace: Workspace, agent: Agent | None, workflow: str, number: int | None = None
) -> tuple[AgentVersion | None, str]:
    """Give the agent's version, if there is an agent, and the name of the workflow."""
    version = _version(workspace, agent, number, workflow)
    name = version.workflow if version else workflow
    if name not in known_workflows():
        raise InvalidInput(f"There is no workflow named {name!r}. Known: {', '.join(known_workflows())}.", "workflow")
    return version, name


def _version(workspace: Workspace, agent: Agent | None, number: int | None, workflow: str) -> AgentVersion | None:
    if (agent is None) == (not workflow):
        raise InvalidInput("Name either an agent or a workflow.", "agent")
    if agent is None:
        if number is not None:
            raise InvalidInput("Only agents have versions.", "version")
        return None
    if agent.workspace_id != workspace.pk:
        raise NotFound(f"There is no agent named {agent.name!r} in this workspace.")
    if agent.current is None or agent.archived_at is not None:
        raise InvalidInput(f"The agent {agent.name!r} has no published version.", "agent")
    return agent.current if number is None else version_of(agent, number)


def _asked(agent: Agent | None, number: int | None) -> JSON:
    """Say which agent a request names: its version counts only where it was named."""
    if agent is None:
        return None
    return agent.pk if number is None else [agent.pk, number]


def checked_input(version: AgentVersion | None, text: str) -> JSON:
    """Read an input; raises InvalidInput, naming the place in it, for one that the agent's schema does not take."""
    input = decode(text)
    schema = None if version is None else version.input_schema
    mismatch = None if schema is None else mismatch_of(schema, input)
    if mismatch is not None:
        raise InvalidInput(mismatch.message, f"input.{mismatch.path}" if mismatch.path else "input")
    return input


def check_options(priority: int, tags: Sequence[str], idempotency_key: str) -> None:
    """Raise InvalidInput for what no run can have."""
    if priority not in PRIORITIES:
        raise InvalidInput(f"A priority is a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}.", "priority")
    if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG for tag in tags):
        raise InvalidInput(f"Tags are at most {MAX_TAGS} texts of 1 to {MAX_TAG} characters.", "tags")
    if len(idempotency_key) > MAX_KEY:
        raise InvalidInput(f"An Idempotency-Key has at most {MAX_KEY} characters.", "Idempotency-Key")


def input_text(input: JSON) -> str:
    """Give a run's input as it is kept; raises InvalidInput for what can't be."""
    if isinstance(input, str):
        input = {"goal": input}
    text = _encoded(input, "input")
    if len(text) > MAX_INPUT:
        raise InvalidInput(f"The input has {len(text)} characters; at most {MAX_INPUT} are taken.", "input")
    return text


def _encoded(value: JSON, field: str) -> str:
    try:
        return encode(value)
    except NotEncodable as error:
        raise InvalidInput(str(error), field) from error


def _delay(run: Run, not_before: datetime | None) -> Wait | None:
    """Let a run that is not due yet wait until then."""
    if not_before is None or not_before <= run.created_at:
        return None
    run.status = RunStatus.WAITING
    run.reason = f"waiting until {not_before:%Y-%m-%d %H:%M:%S} UTC"
    return Wait(run=run, kind=WaitKind.TIMER, due_at=not_before, name=control.NOT_BEFORE)


def _limit_waiting() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{IN_FLIGHT_SECONDS}s"])


def _waited_in_vain(error: OperationalError) -> bool:
    """Tell whether the database gave up waiting for another transaction."""
    return getattr(error.__cause__, "sqlstate", "") == LOCK_NOT_AVAILABLE or "database is locked" in str(error)


def name_of(by: User | AnonymousUser | None) -> str:
    """Name whoever asked for something, in the log."""
    return by.get_username() if by is not None else "system"
