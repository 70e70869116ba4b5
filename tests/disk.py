"""A disk that is full whenever a test wants it to be.

A small file system in memory, where this process may mount one; elsewhere the kernel refuses the product's processes to
make any file larger, which stops a database as well, with another error.
"""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

BLOCK = 64 * 1024


class Disk(ABC):
    """A folder on a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self) -> None:
        """Leave no room."""

    @abstractmethod
    def make_room(self) -> None: ...


class SmallDisk(Disk):
    """A mounted file system of a few megabytes."""

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(BLOCK))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


class Limit(Disk):
    """A limit on the size of the files that some processes write: beyond what their logs need."""

    def __init__(self, folder: Path, processes: Callable[[], Iterable[int]]) -> None:
        super().__init__(folder)
        self._processes = processes

    def fill(self) -> None:
        self._limit(8 * BLOCK)

    def make_room(self) -> None:
        self._limit(psutil.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self._processes():
            _, most = psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE)
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, most))


@cache
def can_mount() -> bool:
    """Whether this process may mount file systems: it is root, and not in a container that forbids it."""
    with TemporaryDirectory() as folder:
        done = _mount(Path(folder), 1)
        if done:
            _unmount(Path(folder))
        return done


@contextmanager
def small_disk(folder: Path, megabytes: int, processes: Callable[[], Iterable[int]]) -> Iterator[Disk]:
    """Give a disk of its own to a folder; `processes` are those that write to it."""
    folder.mkdir()
    if not can_mount():
        yield Limit(folder, processes)
        return
    assert _mount(folder, megabytes)
    try:
        yield SmallDisk(folder)
    finally:
        _unmount(folder)


def _mount(folder: Path, megabytes: int) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "agentsite-test", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unmount(folder: Path) -> None:
    # Lazily: a process that is still ending may have a file open.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
