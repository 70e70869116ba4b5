"""All that may happen next in a state of the world: one database transaction, or one turn of one worker's loop.

A move of the system happens by itself, sooner or later; one of the environment (people, crashes, stalls) may happen.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.engine.records import WaitRecord
from tests.protocol.journals import journal_moves
from tests.protocol.leasing import lease_moves
from tests.protocol.scenario import Draft, Scenario, may, use, with_exec, with_slot
from tests.protocol.state import Change, Exec, Slot, World, tidy
from tests.protocol.surroundings import faults, people, sweeps
from tests.protocol.tables import Flaws, demand, during
from tests.protocol.worker import go_on, park, turns


def moves(world: World, scenario: Scenario) -> Iterator[Draft]:
    """Give every move from this state."""
    for make in (worker_moves, journal_moves, lease_moves, sweeps, people, faults):
        for label, is_system, after in make(world, scenario):
            said, after = _run_on(after, scenario)
            yield label + said, is_system, tidy(after, scenario.is_symmetric)


def _run_on(world: World, scenario: Scenario) -> tuple[str, World]:
    """Let every execution go on to its next await, and drop what is lost: this takes no time and no table."""
    said = ""
    for s, slot in enumerate(world.slots):
        for x in slot.execs:
            if x.is_lost and x.phase != "act" and x.gather == Change():
                world = with_slot(world, s, with_exec(world.slots[s], x, None))
            elif not (x.is_lost or x.awaits) and x.phase in ("go", "gate", "wait", "end"):
                if s == scenario.unknown_to:
                    label, new = _unknown_workflow(x, scenario.flaws)
                else:
                    label, new = go_on(x, world.rows[x.run], scenario.programs[x.run], scenario.flaws)
                said += f"; run {x.run} {label}"
                world = with_slot(world, s, with_exec(world.slots[s], x, new))
    return said, world


def worker_moves(world: World, scenario: Scenario) -> Iterator[Draft]:
    for s, slot in enumerate(world.slots):
        for x in slot.execs:
            who = f"worker {s}, run {x.run}"
            if x.is_lost:
                if x.phase == "act":
                    yield f"{who}: its act is broken off", True, with_slot(world, s, with_exec(slot, x, None))
                continue
            if x.phase == "armed" and not x.is_late and may(world, scenario, "slow"):
                late = with_slot(use(world, scenario, "slow"), s, with_exec(slot, x, x._replace(is_late=True)))
                yield f"{who}: is slow, its intent is older than a lease", False, late
            program = scenario.programs[x.run]
            for label, new in turns(x, world.rows[x.run], program, slot.has_lease, scenario.flaws):
                with during(f"{who}: {label}"):
                    after = _acts(world, x) if label == "acts" else world
                yield f"{who}: {label}", True, with_slot(after, s, with_exec(slot, x, new))
        yield from _watch(world, s, slot)


def _unknown_workflow(x: Exec, flaws: Flaws) -> tuple[str, Exec]:
    """Execution.park_unstarted"""
    if x.known > x.seen:
        return "looks into the inbox", x._replace(phase="read", back="go")
    waits = [WaitRecord("worker", name="flow")]
    if x.wanted == "cancel" and not flaws.unknown_workflow_ignores_wanted:
        ending = x.gather._replace(ending="finish:cancelled")
        return "ends as cancelled", x._replace(awaits="finish", gather=ending)
    if x.wanted == "pause" and not flaws.unknown_workflow_ignores_wanted:
        waits.append(WaitRecord("paused"))
    return "does not know the workflow", park(x, waits)


def _acts(world: World, x: Exec) -> World:
    """The outside effect of an unsafe step happens."""
    row = world.rows[x.run]
    demand(not row.acted, "an unsafe effect was repeated although nobody allowed it")
    demand(x.may_act, "an unsafe step was started after a cancel was committed")
    state = dict(row.steps).get("u", "")
    demand(state == "running" or not row.time_came, "an effect began after a person was asked what became of it")
    rows = (*world.rows[: x.run], row._replace(acted=True), *world.rows[x.run + 1 :])
    return world._replace(rows=rows)


def _watch(world: World, s: int, slot: Slot) -> Iterator[Draft]:
    """Store.watch: one read; what it says is handed over later (Driver._watch_forever)"""
    for x in slot.execs:
        row = world.rows[x.run]
        is_reading = x.phase in ("load", "load2", "read", "read2")
        if (
            x.news is None
            and not is_reading
            and (row.status, row.worker, row.epoch) == ("running", slot.worker, x.epoch)
            and (row.wakes, row.wanted) != (x.known, x.wanted)
        ):
            new = x._replace(news=(row.wakes, row.wanted))
            yield (
                f"worker {s}, run {x.run}: the watch sees news",
                True,
                with_slot(world, s, with_exec(slot, x, new)),
            )
