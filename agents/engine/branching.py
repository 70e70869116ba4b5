"""Parallel branches: gather, map, race, as_completed and timeout.

Each branch is a scope of its own and a task that the engine started, so branches replay in any order. Where the order
decides (race, as_completed, timeout) it is recorded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agents.engine.canonical import JSON, encode
from agents.engine.errors import StepTimeout
from agents.engine.plans import Plan
from agents.engine.recording import close_step, finish_step, outcome_of, record_step, update_step
from agents.engine.records import STARTING_RUNS
from agents.engine.scope import Scope
from agents.engine.subruns import SubRunCall
from agents.engine.trust_records import trust_of
from agents.engine.windows import runs_of

if TYPE_CHECKING:
    from agents.engine.execution import Execution

Branch = asyncio.Task[Any]


async def gather(x: Execution, scope: Scope, awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    """Run all branches, let each settle, then give their results or raise the failure of the lowest index."""
    key = scope.next_key("gather")
    branches = [_start(x, scope, f"{key}/{i}/", awaitable, key) for i, awaitable in enumerate(awaitables)]
    await _settled(x, [task for task, _ in branches])
    return _results(scope, branches)


async def map_items(
    x: Execution, scope: Scope, function: Callable[[Any], Awaitable[Any]], items: Iterable[Any], width: int
) -> list[Any]:
    """Run `function` on each item in a branch of its own, at most `width` at once; results in the items' order."""
    key = scope.next_key("map")
    items = list(items)
    branches: list[tuple[Branch, Scope]] = []
    living: list[Branch] = []
    for i, item in enumerate(items):
        if len(living) >= width:
            await _first(x, living)
            living = [task for task in living if not task.done()]
        branches.append(_start(x, scope, f"{key}/{i}/", function(item), key))
        living.append(branches[-1][0])
    await _settled(x, [task for task, _ in branches])
    return _results(scope, branches)


async def race(x: Execution, scope: Scope, awaitables: Sequence[Awaitable[Any]]) -> tuple[int, Any]:
    """Run the branches until the first one ends; record which, drop the others."""
    if not awaitables:
        raise ValueError("ctx.race needs at least one awaitable.")
    key = scope.next_key("race")
    record = x.steps.get(key)
    if record is not None:
        winner = int((await outcome_of(x, record))["winner"])
        for i, awaitable in enumerate(awaitables):
            if i != winner:
                _close(awaitable)
        await _forsake(x, [f"{key}/{i}/" for i in range(len(awaitables)) if i != winner])
        task, inner = _start(x, scope, f"{key}/{winner}/", awaitables[winner])
        await _settled(x, [task])
    else:
        branches = [_start(x, scope, f"{key}/{i}/", awaitable) for i, awaitable in enumerate(awaitables)]
        tasks = [task for task, _ in branches]
        await _first(x, tasks)
        winner = next(i for i, task in enumerate(tasks) if task.done())
        task, inner = branches[winner]
        await _record_choice(x, scope, key, "race", {"winner": winner})
        await _abandon(x, [(t, s) for t, s in branches if t is not task])
    scope.saw(inner.now)
    return winner, task.result()


async def as_completed(
    x: Execution, scope: Scope, awaitables: Sequence[Awaitable[Any]]
) -> AsyncIterator[tuple[int, Any]]:
    """Give (index, result) of the branches in the order in which they end; the order is recorded."""
    pool = Pool(x, scope, "as_completed")
    for awaitable in awaitables:
        pool.add(awaitable)
    while pool.living:
        yield await pool.next()


class Pool:
    """Parallel branches, to which more can be added while others end; the order in which they end is recorded."""

    def __init__(self, x: Execution, scope: Scope, name: str) -> None:
        self._x = x
        self._scope = scope
        self._key = scope.next_key(name)
        self._branches: dict[int, tuple[Branch, Scope]] = {}
        self._added = 0
        self._turn = 0

    @property
    def living(self) -> int:
        """How many branches have not been given by `next` yet."""
        return len(self._branches)

    def add(self, awaitable: Awaitable[Any]) -> int:
        """Start a branch; gives its index, counted from 0."""
        index, self._added = self._added, self._added + 1
        self._branches[index] = _start(self._x, self._scope, f"{self._key}/{index}/", awaitable)
        return index

    async def next(self) -> tuple[int, Any]:
        """Wait for the next branch to end: give its index and result, or raise its failure."""
        x, key = self._x, f"{self._key}/next#{self._turn}"
        self._turn += 1
        record = x.steps.get(key)
        if record is not None:
            index = int((await outcome_of(x, record))["index"])
            await _settled(x, [self._branches[index][0]])
        else:
            await _first(x, [task for task, _ in self._branches.values()])
            index = next(i for i, (task, _) in self._branches.items() if task.done())
            await _record_choice(x, self._scope, key, "next", {"index": index})
        task, inner = self._branches.pop(index)
        self._scope.saw(inner.now)
        return index, task.result()


async def timeout(x: Execution, scope: Scope, seconds: float, awaitable: Awaitable[Any]) -> Any:
    """Run a branch for at most so many seconds, parked time included; raises StepTimeout. The verdict is recorded."""
    key = scope.next_key("timeout")
    record = x.steps.get(key)
    if record is not None and record.is_done:
        if (await outcome_of(x, record))["timed_out"]:
            _close(awaitable)
            await _forsake(x, [f"{key}/0/"])
            raise StepTimeout("StepTimeout", f"not done within {seconds:g} s", key)
        task, inner = _start(x, scope, f"{key}/0/", awaitable)
        await _settled(x, [task])
        scope.saw(inner.now)
        return task.result()
    if record is None:
        plan = Plan("timeout", "timeout", "timeout", "", lambda: {"seconds": seconds})
        record = record_step(x, key, plan)
    due = record.started_at + timedelta(seconds=seconds)
    task, inner = _start(x, scope, f"{key}/0/", awaitable)
    timer = x.branches.start(x.wait_until(key, due, "timeout"), Scope(f"{key}/timer/", scope.now))
    await _first(x, [task, timer])
    timed_out = not task.done()
    timer.cancel()
    finish_step(x, record, '{"timed_out":true}' if timed_out else '{"timed_out":false}')
    await x.commit()
    if timed_out:
        await _abandon(x, [(task, inner)])
        raise StepTimeout("StepTimeout", f"not done within {seconds:g} s", key)
    scope.saw(inner.now)
    return task.result()


def _start(x: Execution, scope: Scope, path: str, awaitable: Awaitable[Any], join: str = "") -> tuple[Branch, Scope]:
    """Start a branch. One that only awaits a sub-run is part of the gather's join: it wakes nobody by itself."""
    inner = Scope(path, scope.now, f"{join}/" if join and isinstance(awaitable, SubRunCall) else "")
    return x.branches.start(awaitable, inner), inner


def _results(scope: Scope, branches: Sequence[tuple[Branch, Scope]]) -> list[Any]:
    for _, inner in branches:
        scope.saw(inner.now)
    return [task.result() for task, _ in branches]


async def _settled(x: Execution, tasks: Sequence[Branch]) -> None:
    """Wait until all branches have ended. Whoever is cancelled meanwhile takes them along."""
    await _until(x, tasks, len([task for task in tasks if not task.done()]))


async def _first(x: Execution, tasks: Sequence[Branch]) -> None:
    """Wait until at least one branch has ended."""
    if not any(task.done() for task in tasks):
        await _until(x, tasks, 1)


async def _until(x: Execution, tasks: Sequence[Branch], count: int) -> None:
    if count == 0:
        return
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    missing = count

    def ended(task: Branch) -> None:
        nonlocal missing
        missing -= 1
        if missing == 0:
            x.branches.resume(done)

    living = [task for task in tasks if not task.done()]
    for task in living:
        task.add_done_callback(ended)
    try:
        await x.branches.blocked(done)
    except asyncio.CancelledError:
        for task in living:
            task.cancel()
        raise
    finally:
        for task in living:
            task.remove_done_callback(ended)


async def _record_choice(x: Execution, scope: Scope, key: str, kind: str, choice: JSON) -> None:
    record = record_step(x, key, Plan(kind, kind, kind, ""))
    scope.saw(finish_step(x, record, encode(choice)).finished_at)
    await x.commit()


async def _abandon(x: Execution, branches: Sequence[tuple[Branch, Scope]]) -> None:
    """Drop branches whose result nobody wants any more; their open steps were interrupted."""
    for task, inner in branches:
        for key in [key for key in x.open if key.startswith(inner.path)]:
            close_step(x, key, "Another branch was done first.")
        task.cancel()
    living = [task for task, _ in branches if not task.done()]
    if living:
        await asyncio.wait(living, timeout=1.0)
    await _forsake(x, [inner.path for _, inner in branches])


async def _forsake(x: Execution, paths: Sequence[str]) -> None:
    """Cancel the sub-runs of dropped branches, end their processes and withdraw their questions.

    Also in a replay, as the worker may have died before it came to that.
    """
    asked = [
        key
        for key, record in x.steps.items()
        if record.kind in ("approve", "ask") and record.status == "running" and key.startswith(tuple(paths))
    ]
    if asked:
        trust_of(x.change()).withdrawn.extend(asked)
        for key in asked:
            update_step(x, x.steps[key], status="interrupted", finished_at=x.stamp())
    for key in [key for key in x.calls if key.startswith(tuple(paths)) and x.steps[key].status == "running"]:
        close_step(x, key, "Another branch was done first.")
    called = [
        run
        for key, record in x.steps.items()
        if record.kind in STARTING_RUNS and record.status == "running" and key.startswith(tuple(paths))
        for run in runs_of(record)
    ]
    if not called:
        return
    # What was called a moment ago must be in the tables to be cancelled. Of a run that is being cancelled itself,
    # nothing is queued any more, and what is below it ends along with it.
    x.change()
    if (await x.commit()).wanted != "cancel":
        for run_id in called:
            x.host.cancel_child(str(run_id))


def _close(awaitable: Awaitable[Any]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()
