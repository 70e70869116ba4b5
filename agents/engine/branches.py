"""The branches of a run: asyncio tasks that the engine started, and how many of them are doing something."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any
from weakref import WeakMethod

from agents.engine.marks import Marked, Marks
from agents.engine.scope import Scope, current_scope


class Branches:
    """Counts the busy branches; `on_idle`, a method of their owner, is called when none is left: the run only waits.

    Nothing here keeps its owner or an ended task alive by a cycle: what a run leaves behind goes with its last
    reference. The collector of cycles runs seldom, and thousands of runs would lie there until then.
    """

    def __init__(self, on_idle: Callable[[], None], marks: Marks, mark: bytes) -> None:
        """`mark` is what the branches show in `marks` while they are on the processor and in no step."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.busy = 0
        self._on_idle = WeakMethod(on_idle)
        self._marks = marks
        self._mark = mark

    def start(self, coroutine: Coroutine[Any, Any, Any] | Awaitable[Any], scope: Scope) -> asyncio.Task[Any]:
        """Start a branch in its scope. It counts as busy until it ends or waits."""

        async def branch() -> Any:
            scope.task = asyncio.current_task()
            current_scope.set(scope)
            return await coroutine

        self.busy += 1
        scope.mark = self._mark
        task: asyncio.Task[Any] = asyncio.Task(Marked(branch(), self._marks, scope), loop=asyncio.get_running_loop())
        self.tasks.add(task)
        task.add_done_callback(partial(self._ended, scope))
        if inspect.iscoroutine(coroutine):
            # Cancelled before its first step, the branch has never awaited it.
            task.add_done_callback(lambda _: coroutine.close())
        return task

    async def blocked(self, future: asyncio.Future[Any]) -> Any:
        """Await a future while this branch counts as waiting; only `resume` may resolve it."""
        self._rest()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self.busy += 1
            raise

    def resume(self, future: asyncio.Future[Any], value: Any = None) -> None:
        """Let the branch that waits for the future go on."""
        if not future.done():
            self.busy += 1
            future.set_result(value)

    def cancel(self, *, but: asyncio.Task[Any] | None = None) -> None:
        """Cancel all branches, except one."""
        for task in list(self.tasks):
            if task is not but:
                task.cancel()

    def _ended(self, scope: Scope, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        scope.task = None
        if not task.cancelled():
            task.exception()  # Retrieved: whoever awaits the branch looks at it, a dropped one nobody does.
        self._rest()

    def _rest(self) -> None:
        self.busy -= 1
        if self.busy == 0 and (on_idle := self._on_idle()) is not None:
            on_idle()
