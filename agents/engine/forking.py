"""Which steps of a run a fork has copies of, what becomes of the others, and the copying.

A fork keeps what owes nothing to the chosen step: of the scopes around it what had ended when it started, and all that
is recorded of branches beside it, as a retry does. An edited step is kept with its new outcome. The rest is not copied,
so the code comes to it as for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max
from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, decode, encode, recorded
from agents.engine.database_clock import database_now
from agents.engine.origins import COPIED, FORK_KEY
from agents.engine.recording import MAX_INLINE, compress
from agents.engine.scope import is_superseded_with
from agents.models import Artifact, LargeOutcome, Run, Step, StepStatus

DONE = (StepStatus.SUCCEEDED, StepStatus.FAILED)
CHUNK = 500
_ASKS = "approve:"
"""How the name of a question begins that asks about the call of a tool."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A new outcome for the chosen step, and who wrote it."""

    outcome: JSON
    by: str


@dataclass(frozen=True, slots=True)
class Division:
    """A run's steps as a fork sees them: those it has copies of, and what the run did that it would do anew."""

    kept: tuple[Step, ...]
    again: tuple[Step, ...]


def steps_to_divide(run: Run) -> list[Step]:
    """Read a run's steps without what they are about; of approvals what came of them."""
    steps = Step.objects.filter(run_id=run.pk, superseded=False).exclude(key=FORK_KEY).order_by("id")
    found = list(steps.defer("input", "outcome", "error", "attempts"))
    verdicts = dict(steps.filter(kind="approve").values_list("pk", "outcome"))
    for step in found:
        step.outcome = verdicts.get(step.pk)
    return found


def divide(steps: Sequence[Step], chosen: Step | None, *, is_edited: bool = False) -> Division:
    """Say which steps a fork from the chosen one keeps, none if nothing is chosen: it begins at the beginning.

    An edited step counts to neither part.
    """
    if chosen is None:
        return Division((), tuple(steps))
    kept = {s.key: s for s in steps if s.status in DONE and s.key != chosen.key and not _owes(s, chosen)}
    if is_edited:
        kept[chosen.key] = chosen
    # The latest first: what one of them is about may be another.
    for step in sorted(kept.values(), key=lambda s: s.started_at, reverse=True):
        if step.kind == "approve" and not _is_settled(step, kept):
            del kept[step.key]
    again = tuple(step for step in steps if step.key not in kept)
    kept.pop(chosen.key, None)
    return Division(tuple(kept.values()), again)


def _owes(step: Step, chosen: Step) -> bool:
    """Whether a step may owe something to the chosen one: they are not of branches side by side, and it ended later."""
    ended = step.finished_at
    return is_superseded_with(step.key, chosen.key) and (ended is None or ended > chosen.started_at)


def _is_settled(asked: Step, kept: dict[str, Step]) -> bool:
    """Whether a decision may be kept: a no, or a yes whose use is kept as well. A yes is good for one time only."""
    if not isinstance(asked.outcome, dict) or asked.outcome.get("verdict") != "approved":
        return True
    path, _, name = asked.key.rpartition("/")
    scope = f"{path}/" if path else ""
    if name.startswith(_ASKS):
        return f"{scope}tool:{name.removeprefix(_ASKS)}" in kept
    ended = asked.finished_at or asked.started_at
    return any(s.key.startswith(scope) and s.started_at > ended for s in kept.values())


def write_copies(
    run: Run, origin: Run, division: Division, *, chosen: Step | None = None, edit: Edit | None = None
) -> None:
    """Write a fork's steps, and the record of what they must agree with; in the transaction that writes the run."""
    ids = [step.pk for step in division.kept]
    for start in range(0, len(ids), CHUNK):
        _copy(run, ids[start : start + CHUNK])
    _copy_larges(run)
    if chosen is not None and edit is not None:
        _write_edited(run, chosen, edit)
    keys = [step.key for step in division.kept]
    for start in range(0, len(keys), CHUNK):
        _copy_artifacts(run, origin, keys[start : start + CHUNK])
    _write_beginning(run, origin)


def count_copies(division: Division, *, is_edited: bool) -> int:
    """Count the steps that a fork has done by its copies, as a run counts what it has done."""
    return is_edited + sum(s.status == StepStatus.SUCCEEDED and s.kind != "emit" for s in division.kept)


def _copy(run: Run, ids: Sequence[int]) -> None:
    """Copy steps within the database: their texts stay what they are, byte for byte."""
    columns = [str(field.column) for field in Step._meta.concrete_fields if field.name not in ("id", "run")]
    values = [f"CASE WHEN digest = '' THEN '' ELSE '{COPIED}' END" if c == "digest" else c for c in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO agents_step (run_id, {', '.join(columns)}) SELECT %s, {', '.join(values)}"  # noqa: S608 (names of our own)
            f" FROM agents_step WHERE id IN ({', '.join(['%s'] * len(ids))}) AND status IN (%s, %s) ORDER BY id",
            [_stored(run), *ids, *DONE],
        )


def _copy_larges(run: Run) -> None:
    for pk, large in Step.objects.of(run.pk).filter(large__isnull=False).values_list("pk", "large"):
        copy = uuid7()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO agents_largeoutcome (id, run_id, data)"
                " SELECT %s, %s, data FROM agents_largeoutcome WHERE id = %s",
                [_stored(LargeOutcome(id=copy)), _stored(run), _stored(LargeOutcome(id=large))],
            )
        Step.objects.filter(pk=pk).update(large=copy)


def _copy_artifacts(run: Run, origin: Run, keys: Sequence[str]) -> None:
    """Let the fork have the files too. Their content is kept once, by its digest."""
    found = list(Artifact.objects.filter(run=origin, key__in=keys).order_by("id"))
    for artifact in found:
        artifact.pk, artifact.run = uuid7(), run
    Artifact.objects.bulk_create(found)


def _write_edited(run: Run, chosen: Step, edit: Edit) -> None:
    """Write the chosen step with its new outcome; that somebody wrote it stands with its attempts."""
    step = Step.objects.get(pk=chosen.pk)
    entry = {"type": "Edited", "message": f"Its outcome was edited by {edit.by} at the fork.", "number": step.attempt}
    text = encode(edit.outcome)
    step.pk, step.run, step._state.adding = None, run, True
    step.status, step.error, step.digest = StepStatus.SUCCEEDED, None, COPIED if step.digest else ""
    step.attempts = recorded([*(step.attempts or ()), entry])
    step.outcome, step.large = decode(text), None
    if len(text) > MAX_INLINE:
        kept = LargeOutcome.objects.create(run=run, data=compress(text.encode()))
        step.outcome, step.large = None, kept.pk
    step.finished_at = step.finished_at or max(step.started_at, database_now())
    # Nobody was asked for it, so nobody is paid for it.
    step.input_tokens = step.output_tokens = 0
    step.cost_microusd = None
    step.save(force_insert=True)


def _write_beginning(run: Run, origin: Run) -> None:
    """Write the record of what the copies must agree with; it came before them, and ended after them."""
    earlier = Step.objects.of(origin.pk).filter(key=FORK_KEY).first()
    told: dict[str, JSON] = {"seed": str(origin.pk), "began_at": origin.created_at}
    if earlier is not None and isinstance(earlier.outcome, dict):
        told = {name: earlier.outcome[name] for name in told}
    latest = Step.objects.of(run.pk).aggregate(at=Max("finished_at"))["at"]
    began = datetime.fromisoformat(recorded(told)["began_at"])
    Step.objects.create(
        run=run,
        key=FORK_KEY,
        kind="fork",
        name="fork",
        status=StepStatus.SUCCEEDED,
        outcome=recorded({**told, "origin": str(origin.pk), **(run.fork or {})}),
        started_at=began,
        finished_at=max(at for at in (began, latest, database_now()) if at is not None),
    )


def _stored(row: Run | LargeOutcome) -> Any:
    """Give a row's id as the database keeps it."""
    return row._meta.pk.get_db_prep_value(row.pk, connection, prepared=False)
