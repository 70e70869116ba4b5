"""What the model's world consists of: immutable values, so that a state can be a dictionary's key.

Counters that could grow for ever (epochs, wakes, workers) are replaced by their order in `tidy`, as the protocol
compares them and nothing else. So the world is finite although crashes, pauses and lease losses are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_
from typing import NamedTuple

from agents.engine.records import ENDED, Answer, Committed, WaitRecord

Steps = tuple[tuple[str, str], ...]
"""(key, state) in the order of keys; "lost" is an unknown outcome of a step that its worker went away from."""
DONE = ("succeeded", "failed")


class Message(NamedTuple):
    """An unread row of the inbox."""

    name: str
    token: str
    data: str = ""


class Row(NamedTuple):
    """A run with all that the tables have of it. The last four are what an observer knows, not the tables."""

    status: str = "queued"
    wanted: str = ""
    worker: int | None = None
    epoch: int = 0
    wakes: int = 0
    is_fresh: bool = True
    steps: Steps = ()
    inbox: tuple[Message, ...] = ()
    tokens: tuple[str, ...] = ()
    waits: tuple[WaitRecord, ...] = ()
    superseded: Steps = ()
    """Steps that a retry set aside, each (key, state) once."""
    is_suspect: bool = False
    crashes: int = 0
    """How often in a row its worker died while it ran alone."""
    parent: int | None = None
    parent_key: str = ""
    time_came: bool = False
    """The time of the run's timer, or at which an interrupted effect is surely over, has come."""
    holder: tuple[int, int] | None = None
    """(worker, epoch) of the last claim, until somebody ended it."""
    acted: bool = False
    """The unsafe effect happened, and nobody has allowed another one."""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_paused(self) -> bool:
        """As control.py sees it."""
        return self.status == "waiting" and any(wait.kind == "paused" for wait in self.waits)


class WorkerRow(NamedTuple):
    """A worker's row. `is_recent` says that `seen` is younger than the lease."""

    id: int
    state: str = "alive"
    is_recent: bool = True
    batch: int = 0

    @property
    def is_living(self) -> bool:
        return self.state in ("alive", "draining")


class Change(NamedTuple):
    """What gathers in an execution for the journal."""

    steps: Steps = ()
    consumed: tuple[str, ...] = ()
    children: tuple[int, ...] = ()
    ending: str = ""
    waits: tuple[WaitRecord, ...] = ()


class Exec(NamedTuple):
    """One run in the hands of a worker's process (Execution)."""

    run: int
    epoch: int
    phase: str = "load"
    """load, load2: the history is read. go: next step. read, read2: the inbox is read. work: a safe step is executed.
    armed: the intent of an unsafe one is committed. act: its effect is under way. gate, wait: nothing to do."""
    back: str = ""
    """The phase to return to after reading the inbox or after a refused park."""
    seen: int = 0
    known: int = 0
    wanted: str = ""
    hold: str = ""
    is_lost: bool = False
    is_leaving: bool = False
    steps: Steps = ()
    early: tuple[Message, ...] = ()
    taken: tuple[str, ...] = ()
    gather: Change = Change()
    awaits: str = ""
    """What the coroutine or the supervisor awaits the commit of: step, intent, park, finish or release."""
    read: tuple[int, str] | None = None
    news: tuple[int, str] | None = None
    """What the watch has read and not yet handed over."""
    has_asked: bool = False
    """It is past the gate before asking a person for an outcome."""
    may_act: bool = False
    """The answer to the intent did not speak of a cancel."""
    is_late: bool = False
    """Longer than a lease ago, the intent was stamped."""
    starts: int = 0
    """Steps started after a cancel was committed (observer)."""


class Unsure(NamedTuple):
    """A batch that is being committed, but its answer was lost. `is_missed`: looked up, it was not there yet.

    A transaction that hangs holds its rows, so nobody can tell when exactly it commits but who looks it up.
    """

    leases: tuple[tuple[int, int], ...]
    answers: tuple[Answer, ...]
    is_missed: bool = False


class Slot(NamedTuple):
    """A worker's process. It may be reborn: then it registers anew."""

    worker: int = 0
    has_lease: bool = True
    """Whether the worker itself may believe so: its own deadline is not over."""
    is_draining: bool = False
    execs: tuple[Exec, ...] = ()
    unsure: Unsure | None = None


class World(NamedTuple):
    """One state."""

    rows: tuple[Row, ...]
    workers: tuple[WorkerRow, ...]
    slots: tuple[Slot, ...]
    suspect: int | None = None
    """Whom a reaper found silent and is about to declare dead."""
    below: int | None = None
    """The run below which somebody is cancelling."""
    used: tuple[str, ...] = ()
    """What the world has done of what it may do only so often."""


def put(steps: Steps, key: str, state: str) -> Steps:
    """Give the steps with this one in this state."""
    return tuple(sorted({**dict(steps), key: state}.items()))


def tidy(world: World, is_symmetric: bool = False) -> World:
    """Give the same state with the smallest numbers, without the rows of workers that nobody speaks of."""
    world = _tidy(world)
    if is_symmetric:
        first, second = (_standing(world, slot) for slot in world.slots)
        if first > second:
            world = _tidy(world._replace(slots=world.slots[::-1]))
    return world


def _tidy(world: World) -> World:
    spoken = {slot.worker for slot in world.slots} | {row.worker for row in world.rows} | {world.suspect}
    workers = sorted((w for w in world.workers if w.id in spoken), key=lambda w: (_held(world, w.id), w[1:]))
    firsts = [slot.worker for slot in world.slots if slot.worker]
    names = {id: new for new, id in enumerate([*firsts, *(w.id for w in workers if w.id not in firsts)], 1)}
    is_same = all(id == new for id, new in names.items())
    rows = list(world.rows)
    slots = [list(slot.execs) for slot in world.slots]
    orders: dict[int, dict[int, int]] = {}
    for index, row in enumerate(world.rows):
        execs = [(s, i, x) for s, own in enumerate(slots) for i, x in enumerate(own) if x.run == index]
        epochs = _order([row.epoch, *(x.epoch for _, _, x in execs)])
        wakes = _order([row.wakes, *_answered_wakes(world, index), *(n for _, _, x in execs for n in _wakes(x))])
        if is_same and _is_identity(epochs) and _is_identity(wakes):
            continue
        orders[index] = wakes
        for s, i, x in execs:
            slots[s][i] = _renumbered(x, epochs, wakes)
        holder = row.holder and (names.get(row.holder[0], 0), epochs.get(row.holder[1], -1))
        worker = None if row.worker is None else names[row.worker]
        rows[index] = row._replace(epoch=epochs[row.epoch], wakes=wakes[row.wakes], worker=worker, holder=holder)
    for own in slots:
        own.sort(key=_lease)
    return World(
        tuple(rows),
        tuple(sorted(w._replace(id=names[w.id]) for w in workers)),
        tuple(_renamed(slot, slots[i], names, orders) for i, slot in enumerate(world.slots)),
        None if world.suspect is None else names.get(world.suspect),
        world.below,
        world.used,
    )


def _standing(world: World, slot: Slot) -> int:
    """Give a number for all that is known of a worker but its name."""
    row = next(worker for worker in world.workers if worker.id == slot.worker)
    return hash((slot[1:], row[1:], _held(world, slot.worker)))


def _held(world: World, id: int) -> tuple[bool, ...]:
    claimed = (run.holder is not None and run.holder[0] == id for run in world.rows)
    return (world.suspect == id, *(run.worker == id for run in world.rows), *claimed)


def _renumbered(x: Exec, epochs: dict[int, int], wakes: dict[int, int]) -> Exec:
    return x._replace(
        epoch=epochs[x.epoch],
        seen=wakes[x.seen],
        known=wakes[x.known],
        read=x.read and (wakes[x.read[0]], x.read[1]),
        news=x.news and (wakes[x.news[0]], x.news[1]),
    )


def _renamed(slot: Slot, execs: list[Exec], names: dict[int, int], wakes: dict[int, dict[int, int]]) -> Slot:
    if slot.worker == names.get(slot.worker, 0) and all(map(is_, execs, slot.execs)):
        return slot
    unsure = slot.unsure
    if unsure is not None:
        # Its leases follow the executions; a lease whose execution is gone has nobody to answer to.
        new = {_lease(a): _lease(b) for a, b in zip(sorted(slot.execs, key=_lease), execs, strict=True)}
        answers = (
            answer._replace(wakes=wakes[run][answer.wakes])
            if isinstance(answer, Committed) and run in wakes
            else answer
            for (run, _), answer in zip(unsure.leases, unsure.answers, strict=True)
        )
        leases = tuple(new.get(lease, (lease[0], -1)) for lease in unsure.leases)
        unsure = unsure._replace(leases=leases, answers=tuple(answers))
    return slot._replace(worker=names.get(slot.worker, 0), execs=tuple(execs), unsure=unsure)


def _answered_wakes(world: World, index: int) -> Iterator[int]:
    for slot in world.slots:
        if slot.unsure is not None:
            for (run, _), answer in zip(slot.unsure.leases, slot.unsure.answers, strict=True):
                if run == index and isinstance(answer, Committed):
                    yield answer.wakes


def _lease(x: Exec) -> tuple[int, int]:
    return x.run, x.epoch


def _wakes(x: Exec) -> Iterable[int]:
    yield x.seen
    yield x.known
    if x.read:
        yield x.read[0]
    if x.news:
        yield x.news[0]


def _is_identity(names: dict[int, int]) -> bool:
    return all(number == place for number, place in names.items())


def _order(numbers: list[int]) -> dict[int, int]:
    return {number: place for place, number in enumerate(sorted(set(numbers)))}
