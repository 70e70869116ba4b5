"""What the journals of the workers do: batches, lost answers, claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from agents.engine.journal.store import Unavailable
from agents.engine.records import Answer, Committed, Postponed, Refused
from tests.protocol.scenario import Draft, Scenario, may, set_worker, use, with_slot, worker_row
from tests.protocol.state import Change, Exec, Slot, Unsure, World
from tests.protocol.tables import Flaws, Tables, during
from tests.protocol.worker import answered

# -- the journal -------------------------------------------------------------------------------------------------


def journal_moves(world: World, scenario: Scenario) -> Iterator[Draft]:
    for s, slot in enumerate(world.slots):
        if slot.unsure is not None:
            yield from _looks_up(world, s, slot, slot.unsure, scenario.flaws)
            continue
        ready = [x for x in slot.execs if x.awaits or x.gather != Change()]
        for count in range(1, len(ready) + 1):
            for batch in combinations(ready, count):
                yield from _writes(world, s, slot, batch, scenario)
        worker = worker_row(world, slot.worker)
        if worker is not None and not slot.is_draining:
            yield from _claims(world, s, slot, scenario)


def _writes(world: World, s: int, slot: Slot, batch: Sequence[Exec], scenario: Scenario) -> Iterator[Draft]:
    """Journal._write: one batch"""
    tables = Tables(world.rows, world.workers, scenario.flaws)
    what = ", ".join(f"run {x.run} {x.gather.ending or x.awaits or 'in passing'}" for x in batch)
    label = f"worker {s}: commits {what}"
    with during(label):
        answers = tables.commit(slot.worker, batch)
    if any(isinstance(answer, Postponed) for answer in answers):
        return
    after = world._replace(rows=tuple(tables.rows), workers=tuple(tables.workers.values()))
    after = _times(after, world, batch, answers)
    leases = tuple((x.run, x.epoch) for x in batch)
    refused = [x.run for x, answer in zip(batch, answers, strict=True) if isinstance(answer, Refused)]
    label += f" (refused: {refused})" if refused else ""
    unsure = slot._replace(unsure=Unsure(leases, answers))
    yield label, True, _handed_out(after, s, unsure)
    if may(world, scenario, "lost answer"):
        yield f"{label}, the answer is lost", False, with_slot(use(after, scenario, "lost answer"), s, unsure)


def _times(after: World, before: World, batch: Sequence[Exec], answers: Sequence[Answer]) -> World:
    """A timer that is started anew is not due."""
    rows = list(after.rows)
    for x, answer in zip(batch, answers, strict=True):
        is_start = any(state in ("running", "lost") for _, state in x.gather.steps)
        if isinstance(answer, Committed) and is_start and dict(x.gather.steps) != dict(before.rows[x.run].steps):
            rows[x.run] = rows[x.run]._replace(time_came=False)
    return after._replace(rows=tuple(rows))


def _looks_up(world: World, s: int, slot: Slot, unsure: Unsure, flaws: Flaws) -> Iterator[Draft]:
    """Journal._commit and _already_written: look the batch's number up, write again if it is not there"""
    if not unsure.is_missed:
        yield f"worker {s}: finds its batch committed", True, _handed_out(world, s, slot)
        missed = slot._replace(unsure=unsure._replace(is_missed=True))
        yield f"worker {s}: does not find its batch, which is still being committed", True, with_slot(world, s, missed)
        return
    tables = Tables(world.rows, world.workers, flaws)
    batch = [x for x in slot.execs if (x.run, x.epoch) in unsure.leases]
    try:
        with during(f"worker {s}: writes its batch again"):
            answers = tables.commit(slot.worker, batch)
    except Unavailable:
        after = with_slot(world, s, slot._replace(unsure=unsure._replace(is_missed=False)))
        yield f"worker {s}: its second try is refused by the batch's number", True, after
        return
    after = world._replace(rows=tuple(tables.rows), workers=tuple(tables.workers.values()))
    leases = tuple((x.run, x.epoch) for x in batch)
    yield (
        f"worker {s}: writes its batch again",
        True,
        _handed_out(after, s, slot._replace(unsure=Unsure(leases, answers))),
    )


def _handed_out(world: World, s: int, slot: Slot) -> World:
    """Journal._hand_out; the next batch has another number"""
    assert slot.unsure is not None
    answers = dict(zip(slot.unsure.leases, slot.unsure.answers, strict=True))
    execs = []
    for x in slot.execs:
        answer = answers.get((x.run, x.epoch))
        if isinstance(answer, Refused) or (answer is not None and x.is_lost):
            execs.append(x._replace(is_lost=True, gather=Change(), awaits=""))
        elif isinstance(answer, Committed) and not x.awaits:
            execs.append(x._replace(gather=Change()))
        elif isinstance(answer, Committed):
            if (new := answered(x, answer)) is not None:
                execs.append(new)
        else:
            execs.append(x)
    world = set_worker(world, slot.worker, batch=0)
    return with_slot(world, s, slot._replace(execs=tuple(execs), unsure=None))


def _claims(world: World, s: int, slot: Slot, scenario: Scenario) -> Iterator[Draft]:
    """Driver._claim_forever and _start"""
    for index, row in enumerate(world.rows):
        if row.status != "queued":
            continue
        tables = Tables(world.rows, world.workers, scenario.flaws)
        claimed = tables.claim_run(slot.worker, index)
        if claimed is None:
            continue
        after = world._replace(rows=tuple(tables.rows))
        # An older execution of the same run in this process is lost: it was taken for dead in between.
        others = tuple(
            x._replace(is_lost=True, gather=Change(), awaits="") if x.run == index and not x.is_lost else x
            for x in slot.execs
        )
        taken = with_slot(after, s, slot._replace(execs=(*others, claimed)))
        yield f"worker {s}: claims run {index}", True, taken
        if may(world, scenario, "lost claim"):
            yield (
                f"worker {s}: claims run {index}, the answer is lost for good",
                False,
                use(after, scenario, "lost claim"),
            )
