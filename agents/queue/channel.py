"""A queue between django-q2's processes that no killed process can block.

multiprocessing.Queue holds a lock while a reader waits; a reader that is killed takes the lock along, and every other
reader waits for ever. A SOCK_SEQPACKET socket keeps messages whole and lets any number of processes wait without one.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from agents.queue import pulse

STOP = "STOP"
INLINE = b"\x00"
FILED = b"\x01"
MAX_INLINE = 60_000
BUFFER = 212_992
SMALL_BUFFER = 4_608
SMALL_MESSAGE = 1_500


class Channel:
    """Takes the place of `multiprocessing.Queue` in django-q2: put, get, qsize, empty, close, join_thread."""

    stopping = False
    """Set in a worker that is to stop: it then reads STOP before anything else."""

    def __init__(self, maxsize: int = 0, **_: Any) -> None:
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The kernel's buffer bounds how much is prefetched: little, where a bounded queue was asked for.
        size = SMALL_BUFFER if maxsize else BUFFER
        self._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        # Waits end now and then, so that whoever waits can show that it moves.
        wait = struct.pack("ll", 1, 0)
        self._reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        self._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        self._inline = SMALL_MESSAGE if maxsize else MAX_INLINE

    def put(self, message: object, block: bool = True, timeout: float | None = None) -> None:
        """Send a message; waits while the buffer is full, at most `timeout` seconds (then it is dropped).

        Raises in the caller what can't be pickled.
        """
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        if len(data) > self._inline:
            descriptor, name = tempfile.mkstemp(prefix="agentsite-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            data = FILED + name.encode()
        else:
            data = INLINE + data
        ends = None if timeout is None else time.monotonic() + timeout
        while ends is None or time.monotonic() < ends:
            try:
                self._writer.send(data)
                return
            except BlockingIOError:
                pulse.beat()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for a message. STOP when this process is to stop or no writer is left."""
        while True:
            if Channel.stopping:
                return STOP
            try:
                data = self._reader.recv(MAX_INLINE + 16)
            except BlockingIOError:
                pulse.beat()
            else:
                break
        pulse.beat()
        if not data:
            return STOP
        if data[:1] == FILED:
            path = Path(data[1:].decode())
            content = path.read_bytes()
            path.unlink()
            return pickle.loads(content)  # noqa: S301 (a message of our own process, from a file only we may read)
        return pickle.loads(data[1:])  # noqa: S301 (a message of our own process)

    def empty(self) -> bool:
        return not select.select([self._reader], [], [], 0)[0]

    def qsize(self) -> int:
        return 0 if self.empty() else 1

    def close(self) -> None:
        """Nothing to do: the sockets go with their processes."""

    def join_thread(self) -> None:
        """Nothing to do: there is no feeder thread."""

    def cancel_join_thread(self) -> None:
        """Nothing to do: there is no feeder thread."""
