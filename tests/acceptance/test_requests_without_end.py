"""Requests that are too large or never end are refused before they cost anything, over real connections."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.instance import Instance

MOST = 64_000_000
"""Bytes after which the test itself gives up: the site takes eight million."""


@contextmanager
def connected(instance: Instance) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", instance.port), timeout=30) as client:
        yield client


def head(instance: Instance, *lines: str) -> bytes:
    start = ("POST /api/v1/documents HTTP/1.1", f"Host: 127.0.0.1:{instance.port}", "Content-Type: application/json")
    return "\r\n".join([*start, *lines, "", ""]).encode()


def status(client: socket.socket) -> int:
    """Read the answer to its end: the server hangs up."""
    answer = b""
    try:
        while part := client.recv(65536):
            answer += part
    except ConnectionResetError:
        pass  # It had more to read than it wanted; what it said first is here.
    found = re.match(rb"HTTP/1\.1 (\d+)", answer)
    return int(found[1]) if found else 0


def send(client: socket.socket, part: bytes) -> int:
    """Send until the server hangs up; gives how much it took."""
    taken = 0
    try:
        while taken < MOST:
            client.sendall(part)
            taken += len(part)
    except (ConnectionError, TimeoutError):
        pass
    return taken


@pytest.mark.fault(46)
@pytest.mark.once("what is cut off has not come to the database")
def test_bodies_without_measure_and_clients_that_drip_are_cut_off(instance: Instance) -> None:
    web = instance.start_web(REQUEST_SECONDS="3")
    # Announced to be huge: answered before any of it is sent.
    with connected(instance) as client:
        client.sendall(head(instance, "Content-Length: 1000000000"))
        assert status(client) == 413
    # Huge without a word: cut off on the way.
    with connected(instance) as client:
        client.sendall(head(instance, "Transfer-Encoding: chunked"))
        assert send(client, b"10000\r\n" + b"x" * 0x10000 + b"\r\n") < MOST
    # One that drips its body, and one that drips its headers.
    for beginning, drop in ((head(instance, "Content-Length: 1000"), b"x"), (head(instance)[:-2], b"X: y\r\n")):
        with connected(instance) as client:
            client.sendall(beginning)
            started = time.monotonic()
            try:
                while time.monotonic() - started < 30:
                    client.sendall(drop)
                    client.settimeout(0.2)
                    try:
                        if client.recv(65536, socket.MSG_PEEK) is not None:
                            break
                    except TimeoutError:
                        continue
            except ConnectionError:
                pass
            client.settimeout(10)
            assert time.monotonic() - started < 30, "it was waited for"
            assert status(client) in (408, 0)
    # Ordinary requests go on as ever.
    assert instance.api.get("me").status_code == 200
    assert instance.api.post("documents", json={"title": "A", "text": "word " * 200_000}).status_code == 201
    assert web.is_running
