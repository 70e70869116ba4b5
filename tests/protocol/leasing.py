"""Who is alive and who holds what: heartbeats, stalls, drains, and the reaper."""

from __future__ import annotations

from collections.abc import Iterator

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
    with_exec,
    with_slot,
    worker_row,
)
from tests.protocol.state import Change, Slot, WorkerRow, World
from tests.protocol.tables import Flaws, demand, during

# -- leases ------------------------------------------------------------------------------------------------------


def lease_moves(world: World, scenario: Scenario) -> Iterator[Draft]:
    for s, slot in enumerate(world.slots):
        worker = worker_row(world, slot.worker)
        if worker is None:
            continue
        yield from _beats(world, s, slot, worker, scenario.flaws)
        if slot.is_draining:
            yield from _stops(world, s, slot, scenario)
        elif worker.is_living:
            yield from _gives_unknown_back(world, s, slot, scenario)
        if slot.has_lease and is_busy(world, slot) and may(world, scenario, "stall"):
            after = use(world, scenario, "stall")
            yield f"worker {s}: stalls, its lease is over", False, with_slot(after, s, slot._replace(has_lease=False))
        if not slot.has_lease and worker.is_recent:
            yield (
                f"worker {s}: is silent for longer than its lease",
                False,
                set_worker(world, worker.id, is_recent=False),
            )
    yield from _reaps(world, scenario)


def _beats(world: World, s: int, slot: Slot, worker: WorkerRow, flaws: Flaws) -> Iterator[Draft]:
    """leases.heartbeat, then Membership._beat, Driver._abandon"""
    if worker.is_living or flaws.heartbeat_without_compare:
        if not (worker.is_recent and slot.has_lease):
            after = set_worker(world, worker.id, is_recent=True)
            yield f"worker {s}: its heartbeat is accepted", True, with_slot(after, s, slot._replace(has_lease=True))
    elif worker.state == "dead":
        label = f"worker {s}: finds itself dead and registers anew"
        lost = tuple(x._replace(is_lost=True, gather=Change(), awaits="") for x in slot.execs)
        yield label, True, reborn(world, s, *lost)
        # What was just being written, and is postponed, is in the journal again afterwards (Journal._put_back).
        if any(x.gather != Change() for x in slot.execs):
            kept = tuple(x._replace(is_lost=True, awaits="", phase="") for x in slot.execs)
            yield f"{label}, a change is still in its journal", True, reborn(world, s, *kept)


def _gives_unknown_back(world: World, s: int, slot: Slot, scenario: Scenario) -> Iterator[Draft]:
    """Membership._release_unknown: a claim whose answer was lost"""
    known = {x.run for x in slot.execs}
    for index, row in enumerate(world.rows):
        if row.status == "running" and row.worker == slot.worker and index not in known:
            after = transact(world, scenario.flaws, lambda t, i=index: transactions.requeue(t, i))  # type: ignore[misc]
            yield f"worker {s}: gives run {index} back, of which it knows nothing", True, after


def _stops(world: World, s: int, slot: Slot, scenario: Scenario) -> Iterator[Draft]:
    """Driver._drain"""
    for x in slot.execs:
        if not x.is_leaving and not x.is_lost:
            new = with_slot(world, s, with_exec(slot, x, x._replace(is_leaving=True)))
            yield f"worker {s}, run {x.run}: its grace is over", True, new
    if not slot.execs and slot.unsure is None:
        # leases.stop_worker
        after = set_worker(world, slot.worker, state="stopped")
        for index, row in enumerate(world.rows):
            if row.status == "running" and row.worker == slot.worker:
                after = transact(after, scenario.flaws, lambda t, i=index: transactions.requeue(t, i))  # type: ignore[misc]
        yield f"worker {s}: stops, another takes its place", True, reborn(after, s)


def _reaps(world: World, scenario: Scenario) -> Iterator[Draft]:
    """reaping.reap: look, declare dead by compare and set, queue the runs of the dead: three transactions"""
    processes = {slot.worker for slot in world.slots}
    if world.suspect is None:
        for worker in world.workers:
            if worker.is_living and (not worker.is_recent or worker.id not in processes):
                yield f"reaper: finds worker {worker.id} silent or gone", True, world._replace(suspect=worker.id)
    elif (suspect := worker_row(world, world.suspect)) is not None:
        after = world._replace(suspect=None)
        unchanged = not suspect.is_recent or suspect.id not in processes
        if suspect.is_living and (unchanged or scenario.flaws.dead_without_compare):
            holders = [slot for slot in world.slots if slot.worker == suspect.id]
            with during(f"reaper: declares worker {suspect.id} dead"):
                demand(not any(slot.has_lease for slot in holders), "a worker was declared dead within its lease")
            yield f"reaper: declares worker {suspect.id} dead", True, set_worker(after, suspect.id, state="dead")
        else:
            yield f"reaper: leaves worker {suspect.id} alone", True, after
    for index, row in enumerate(world.rows):
        if row.status == "running":
            holder = worker_row(world, row.worker)
            if holder is None or not holder.is_living:
                after = transact(world, scenario.flaws, lambda t, i=index: transactions.requeue(t, i))  # type: ignore[misc]
                yield f"reaper: queues run {index} of a dead worker", True, after
