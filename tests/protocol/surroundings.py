"""What surrounds the workers: time, people, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.protocol import transactions
from tests.protocol.scenario import (
    Draft,
    Scenario,
    is_busy,
    may,
    reborn,
    set_worker,
    transact,
    use,
    with_slot,
    worker_row,
)
from tests.protocol.state import Message, World
from tests.protocol.tables import Tables, during

# -- time --------------------------------------------------------------------------------------------------------


def sweeps(world: World, scenario: Scenario) -> Iterator[Draft]:
    flaws = scenario.flaws
    for index, row in enumerate(world.rows):
        steps = dict(row.steps)
        if not row.time_came and steps.get("sleep") == "running":
            yield f"time: run {index}'s timer is due", True, _time_comes(world, index)
        if not row.time_came and steps.get("u") == "lost" and not _is_acting(world, index):
            yield f"time: run {index}'s effect is surely over", True, _time_comes(world, index)
        if row.time_came and row.status == "waiting" and any(wait.due_at is not None for wait in row.waits):
            after = transact(world, flaws, lambda t, i=index: transactions.wake_due(t, i))  # type: ignore[misc]
            yield f"sweep: run {index}'s timer is due", True, after
        knows = any(slot.worker and s != scenario.unknown_to for s, slot in enumerate(world.slots))
        if knows and row.status == "waiting" and not row.is_paused and any(w.kind == "worker" for w in row.waits):
            after = transact(world, flaws, lambda t, i=index: transactions.wake_for_workflows(t, i))  # type: ignore[misc]
            yield f"sweep: run {index}'s workflow is known", True, after


def _is_acting(world: World, index: int) -> bool:
    return any(
        x.run == index and "act" in (x.phase, x.back) and not x.is_late for slot in world.slots for x in slot.execs
    )


def _time_comes(world: World, index: int) -> World:
    """After a lease and the step's own time, acts that began in time are over, and older intents are too old."""
    rows = (*world.rows[:index], world.rows[index]._replace(time_came=True), *world.rows[index + 1 :])
    slots = (
        slot._replace(execs=tuple(x._replace(is_late=True) if x.run == index else x for x in slot.execs))
        for slot in world.slots
    )
    return world._replace(rows=rows, slots=tuple(slots))


def people(world: World, scenario: Scenario) -> Iterator[Draft]:
    """What control.py does; people do all of it to the root"""
    if world.below is not None:
        yield from _cancels_below(world, scenario)
    root = world.rows[0]
    acts: list[tuple[str, bool, str, Callable[[Tables], object]]] = [
        ("cancel", not root.has_ended and root.wanted != "cancel", "cancel", lambda t: transactions.cancel(t, 0)),
        ("pause", transactions.can_pause(root), "pause", lambda t: transactions.pause(t, 0)),
        ("resume", transactions.can_resume(root), "resume", lambda t: transactions.resume(t, 0)),
        ("retry", root.status in ("failed", "cancelled"), "retry", lambda t: transactions.retry(t, 0)),
        ("tell", not root.has_ended, "tell", lambda t: transactions.tell(t, 0, Message("go", f"go{len(root.tokens)}"))),
    ]
    if scenario.flaws.cancel_after_the_end:
        acts[0] = ("cancel", root.wanted != "cancel", *acts[0][2:])
    for name, is_possible, budget, act in acts:
        if is_possible and may(world, scenario, budget):
            with during(f"person: {name}"):
                after = use(transact(world, scenario.flaws, act), scenario, budget)
            if name == "cancel":
                after = after._replace(below=0 if len(world.rows) > 1 else None)
            yield f"person: {name}", False, after
    yield from _decides(world, scenario)


def _cancels_below(world: World, scenario: Scenario) -> Iterator[Draft]:
    """control.cancel_below: one sub-run after the other, until a look finds none"""
    below = [i for i, row in enumerate(world.rows) if row.parent == 0 and not row.has_ended and row.wanted != "cancel"]
    if not below:
        yield "person: finds no sub-run left to cancel", True, world._replace(below=None)
    for index in below[:1]:
        after = transact(world, scenario.flaws, lambda t, i=index: transactions.cancel(t, i))  # type: ignore[misc]
        yield f"person: cancel of sub-run {index}", True, after


def _decides(world: World, scenario: Scenario) -> Iterator[Draft]:
    """services.runs.decide_step: one decision per question"""
    row = world.rows[0]
    if not any(wait.kind == "unknown" for wait in row.waits) or any(m.name == "decide:u" for m in row.inbox):
        return
    for choice in ("done", "retry", "give up"):
        if may(world, scenario, f"decide {choice}"):

            def decide(tables: Tables, choice: str = choice) -> None:
                transactions.tell(tables, 0, Message("decide:u", "decision", choice))
                told = tables.rows[0]
                allowed = told.acted and choice != "retry"
                # The token names the question, and another question is another wait.
                tables.rows[0] = told._replace(tokens=row.tokens, acted=allowed)

            after = use(transact(world, scenario.flaws, decide), scenario, f"decide {choice}")
            yield f"person: decides: {choice}", False, after


def faults(world: World, scenario: Scenario) -> Iterator[Draft]:
    for s, slot in enumerate(world.slots):
        if not is_busy(world, slot):
            continue
        if may(world, scenario, "crash"):
            yield f"worker {s}: is killed, and another starts", False, reborn(use(world, scenario, "crash"), s)
        if not slot.is_draining and may(world, scenario, "drain"):
            after = use(world, scenario, "drain")
            worker = worker_row(after, slot.worker)
            if worker is not None and worker.state == "alive":
                # leases.start_draining, Execution.drain
                after = set_worker(after, worker.id, state="draining")
                held = tuple(x._replace(hold="drain") for x in slot.execs)
                after = with_slot(after, s, slot._replace(is_draining=True, execs=held))
                yield f"worker {s}: is to stop", False, after
