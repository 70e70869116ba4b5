"""A world to explore, and how a changed part is put back into a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from tests.protocol.state import Exec, Row, Slot, WorkerRow, World
from tests.protocol.tables import Flaws, Tables
from tests.protocol.worker import Op

Draft: TypeAlias = tuple[str, bool, World]
"""What happens, whether by the system itself, and the state afterwards."""


class Scenario(NamedTuple):
    """A world to explore: what each run's workflow does, and what its surroundings may do to it (and how often)."""

    name: str
    programs: tuple[tuple[Op, ...], ...]
    may: tuple[str, ...] = ()
    """Names of moves of the environment; one that is named n times may happen n times."""
    always: tuple[str, ...] = ()
    """Those that may happen any number of times."""
    unknown_to: int | None = None
    """The worker that does not know the workflow."""
    flaws: Flaws = Flaws()

    @property
    def is_symmetric(self) -> bool:
        """Whether states that differ by who is called worker 0 and who worker 1 are one."""
        return self.unknown_to is None and not any(self.flaws)

    def begin(self) -> World:
        """Give the first state: the root is queued, its sub-runs do not exist, two workers are registered."""
        rows = (Row(), *(Row(status="") for _ in self.programs[1:]))
        return World(rows, (WorkerRow(1), WorkerRow(2)), (Slot(1), Slot(2)))


def with_slot(world: World, index: int, slot: Slot) -> World:
    return world._replace(slots=(*world.slots[:index], slot, *world.slots[index + 1 :]))


def with_exec(slot: Slot, old: Exec, new: Exec | None) -> Slot:
    execs = tuple(new if x is old else x for x in slot.execs)
    return slot._replace(execs=tuple(x for x in execs if x is not None))


def reborn(world: World, s: int, *lost: Exec) -> World:
    """leases.register_worker, by a new process or one that found itself dead"""
    id = max(worker.id for worker in world.workers) + 1
    return with_slot(world._replace(workers=(*world.workers, WorkerRow(id))), s, Slot(id, execs=lost))


def transact(world: World, flaws: Flaws, act: Callable[[Tables], object]) -> World:
    tables = Tables(world.rows, world.workers, flaws)
    act(tables)
    return world._replace(rows=tuple(tables.rows), workers=tuple(tables.workers.values()))


def worker_row(world: World, id: int | None) -> WorkerRow | None:
    return next((worker for worker in world.workers if worker.id == id), None)


def set_worker(world: World, id: int, **changes: object) -> World:
    changed = (w._replace(**changes) if w.id == id else w for w in world.workers)  # type: ignore[arg-type]
    return world._replace(workers=tuple(changed))


def may(world: World, scenario: Scenario, what: str) -> bool:
    return what in scenario.always or world.used.count(what) < scenario.may.count(what)


def use(world: World, scenario: Scenario, what: str) -> World:
    return world if what in scenario.always else world._replace(used=tuple(sorted((*world.used, what))))


def is_busy(world: World, slot: Slot) -> bool:
    """Whether it makes a difference that this worker goes away."""
    return bool(slot.execs) or any(row.worker == slot.worker for row in world.rows)
