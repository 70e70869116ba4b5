"""What a worker process is doing this very moment, where others can read it when the process can't say it any more.

Each worker process has a page of memory that is a file too. It counts the turns of its event loop there, and marks the
step that is on the processor and those that are in threads. Whoever finds the process gone reads its last marks.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from agents.engine.scope import Scope, current_scope

T = TypeVar("T")

SIZE = 8192
TICK, THREAD_ID, EXIT_CODE, BLOCKED = 0, 8, 16, 20
PROCESSOR, THREADS, THREAD_SIZE = 64, 1024, 128
THREAD_SLOTS = (SIZE - THREADS) // THREAD_SIZE
HERE, GONE = 1, 0
MAX_MARK = THREADS - PROCESSOR
ALIVE = -(2**31)
"""What stands in the place of the exit code while the process lives, or if nobody saw it die."""
MAX_STACK = 6_000


def mark_of(run_id: UUID, key: str = "") -> bytes:
    """Give the bytes that stand for a step of a run, or for the run's own code between its steps."""
    return step_mark(b"\x01" + run_id.bytes + b"\x00", key)


def step_mark(run_mark: bytes, key: str) -> bytes:
    """Give the mark of a step of the run that `run_mark` stands for."""
    return (run_mark[:-1] + key.encode("utf-8", "replace"))[: MAX_MARK - 1] + b"\x00"


def blocked_name(key: str) -> str:
    """Give the name of the message that tells a step that it kept the loop from turning."""
    return f"blocked:{key}"


class Marks:
    """The page of one worker process. Writing to it costs less than a microsecond and never waits."""

    def __init__(self, page: mmap.mmap | bytearray | None = None) -> None:
        self.page: Any = page if page is not None else bytearray(SIZE)
        self._turns = 0
        self._free = deque(range(THREAD_SLOTS))

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make the file of this process; raises OSError where there is no room for it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = bytearray(SIZE)
        struct.pack_into("<i", fresh, EXIT_CODE, ALIVE)
        # Written out: a page of a file with holes would end the process when the disk is full.
        path.write_bytes(fresh)
        return cls(_open(path))

    def tick(self) -> None:
        """Count a turn of the event loop, from its thread."""
        self._turns += 1
        struct.pack_into("<QQ", self.page, TICK, self._turns, threading.get_ident())

    def put(self, mark: bytes) -> None:
        """Say what is on the processor now."""
        self.page[PROCESSOR : PROCESSOR + len(mark)] = mark

    def in_thread(self, call: Callable[[], T], mark: bytes | None = None) -> T:
        """Call a function that blocks, marking its thread with its step, by default the one of this context."""
        if mark is None:
            scope = current_scope.get()
            mark = scope.mark if scope is not None else b""
        if not mark:
            return call()
        try:
            slot = self._free.popleft()
        except IndexError:
            return call()
        place = THREADS + slot * THREAD_SIZE
        mark = mark[: THREAD_SIZE - 1] + b"\x00"
        self.page[place : place + len(mark)] = mark
        try:
            return call()
        finally:
            self.page[place] = GONE
            self._free.append(slot)

    def task_factory(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,
    ) -> asyncio.Task[T]:
        """Make a task; one that a step starts is marked like the step itself."""
        if (scope := current_scope.get()) is not None:
            coroutine = Marked(coroutine, self, scope)
        return asyncio.Task(coroutine, loop=loop, **options)


class Marked(Coroutine[Any, Any, Any]):
    """A coroutine that is marked while it is on the processor."""

    __slots__ = ("_coroutine", "_page", "_scope")

    def __init__(self, coroutine: Any, marks: Marks, scope: Scope) -> None:
        self._coroutine = coroutine
        self._page = marks.page
        self._scope = scope

    def send(self, value: Any) -> Any:
        page, mark = self._page, self._scope.mark
        page[PROCESSOR : PROCESSOR + len(mark)] = mark
        try:
            return self._coroutine.send(value)
        finally:
            page[PROCESSOR] = GONE

    def throw(self, *error: Any) -> Any:
        page, mark = self._page, self._scope.mark
        page[PROCESSOR : PROCESSOR + len(mark)] = mark
        try:
            return self._coroutine.throw(*error)
        finally:
            page[PROCESSOR] = GONE
            # Its traceback holds this frame: a circle, in which a cancelled run would stay for the collector.
            del error

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._coroutine.__await__())

    def __getattr__(self, name: str) -> Any:
        # Whoever looks at a task's coroutine (its frame, its name) sees the one inside.
        return getattr(self._coroutine, name)


@dataclass(frozen=True, slots=True)
class Mark:
    """A step (or with an empty key, a run's own code); `is_there` unless it had left the processor again."""

    run_id: UUID
    key: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class LastMarks:
    """What a process that is gone was doing. `exit_code` is None if nobody saw it die; negative: the signal."""

    processor: Mark | None
    threads: tuple[Mark, ...]
    exit_code: int | None
    is_blocked: bool
    stack: str

    @property
    def present(self) -> list[Mark]:
        """What was on the processor and in threads at the end."""
        on = [self.processor] if self.processor is not None and self.processor.is_there else []
        return [*on, *self.threads]

    @property
    def ended_by_itself(self) -> bool:
        """Whether nobody killed it from outside, as far as is known: a fault of the memory, an exit, an abort."""
        return self.exit_code is not None and self.exit_code not in (-9, -15)


class MarksFile:
    """A worker process's files, as its sentinel and its reaper find them: by process id and start."""

    def __init__(self, folder: Path, host_id: str, pid: int, pid_start: int) -> None:
        # Machines may share the folder, and two of them the ids.
        host = hashlib.blake2b(host_id.encode(), digest_size=4).hexdigest()
        self.path = folder / f"{host}-{pid}-{pid_start}.marks"
        self.stack_path = self.path.with_suffix(".stack")

    def turns(self) -> int:
        """Give how often the loop has turned; 0 before its first turn."""
        try:
            return int(struct.unpack_from("<Q", self._read(), TICK)[0])
        except OSError:
            return 0

    def note_block(self) -> None:
        """Say that the process is killed because its loop does not turn."""
        self._write(BLOCKED, b"\x01")

    def note_exit(self, code: int) -> None:
        """Say how the process ended."""
        self._write(EXIT_CODE, struct.pack("<i", code))

    def last(self) -> LastMarks | None:
        """Read the marks of a process that is gone; None if it has left none."""
        try:
            page = self._read()
        except OSError:
            return None
        exit_code = struct.unpack_from("<i", page, EXIT_CODE)[0]
        is_blocked = bool(page[BLOCKED])
        places = (THREADS + slot * THREAD_SIZE for slot in range(THREAD_SLOTS))
        threads = [_mark(page[place : place + THREAD_SIZE]) for place in places if page[place] == HERE]
        return LastMarks(
            processor=_mark(page[PROCESSOR:THREADS]),
            threads=tuple(mark for mark in threads if mark is not None),
            exit_code=None if exit_code == ALIVE else exit_code,
            is_blocked=is_blocked,
            stack=self._stack(struct.unpack_from("<Q", page, THREAD_ID)[0]) if is_blocked else "",
        )

    def remove(self) -> None:
        """Remove the files."""
        for path in (self.path, self.stack_path):
            with suppress(OSError):
                path.unlink()

    def _read(self) -> bytes:
        page = self.path.read_bytes()
        if len(page) != SIZE:
            raise OSError(f"{self.path} is not whole")
        return page

    def _write(self, place: int, data: bytes) -> None:
        with suppress(OSError), self.path.open("r+b") as file:
            file.seek(place)
            file.write(data)

    def _stack(self, thread_id: int) -> str:
        """Give the stack of the loop's thread out of a dump of all threads."""
        try:
            dump = self.stack_path.read_text(errors="replace")
        except OSError:
            return ""
        ours = [part for part in dump.split("\n\n") if f"{thread_id:#018x}" in part.split("\n", 1)[0]]
        return (ours or [dump])[-1][:MAX_STACK].strip()


def _mark(data: bytes) -> Mark | None:
    run_id, key = data[1:17], data[17:].partition(b"\x00")[0]
    if run_id == bytes(16):
        return None
    return Mark(UUID(bytes=run_id), key.decode("utf-8", "replace"), is_there=data[0] == HERE)


def _open(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), SIZE)
