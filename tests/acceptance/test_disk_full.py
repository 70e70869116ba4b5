"""The disk is full while runs are under way: no half record, a clear answer, and it goes on when there is room."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.clients import check_outage
from tests.disk import Disk, small_disk
from tests.instance import Instance, Template, wait_until
from tests.world import World

LEASE = 3.0
# What the input of a run takes, so that the room which is left in the database's own files is soon used up.
PADDING = "x" * 100_000


@contextmanager
def instance_on(template: Template, folder: Path) -> Iterator[tuple[Instance, Disk]]:
    """An instance whose database is on a small disk; on SQLite with all else that it writes."""
    instance = Instance(directory=folder, database_url="")

    def pids() -> list[int]:
        return [child.pid for process in instance.processes for child in [process, *process.children()]]

    with small_disk(folder / "disk", 64, pids) as disk:
        if template.server:
            instance.database_url = template.copy()
            move_to(disk, template, instance.database_url)
        else:
            shutil.copyfile(urlsplit(template.database_url).path[1:], disk.folder / "agentsite.sqlite3")
            instance.database_url = f"sqlite:///{disk.folder}/agentsite.sqlite3"
            instance.environment["VAR_DIR"] = str(disk.folder)
        try:
            yield instance, disk
        finally:
            instance.stop()
            if template.server:
                template.drop(instance.database_url)
                with psycopg.connect(template.server, autocommit=True) as server:
                    server.execute("DROP TABLESPACE small")


def move_to(disk: Disk, template: Template, url: str) -> None:
    with psycopg.connect(template.server, autocommit=True) as server:
        ((data,),) = server.execute("SHOW data_directory").fetchall()
        place = disk.folder / "tablespace"
        place.mkdir(mode=0o700)
        owner = os.stat(data)
        os.chown(place, owner.st_uid, owner.st_gid)
        server.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
        server.execute(f'ALTER DATABASE "{urlsplit(url).path[1:]}" SET TABLESPACE small'.encode())


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: the server's account must be able to go through the folders above, and each session of pytest
    # that begins closes them.
    with TemporaryDirectory(prefix="agentsite-disk-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def world_and_disk(instance_template: Template, folder: Path) -> Iterator[tuple[World, Disk]]:
    with instance_on(instance_template, folder) as (instance, disk):
        world = World(instance, folder)
        instance.environment |= {
            "WORKFLOW_MODULES": "tests.workflows",
            "LEASE_SECONDS": str(LEASE),
            "HEARTBEAT_SECONDS": "0.5",
        }
        instance.start_web()
        world.start_workers()
        yield world, disk


def post_padded(api: httpx.Client) -> httpx.Response:
    return api.post("runs", json={"workflow": "chain", "input": {"steps": 1, "seconds": 0.0, "padding": PADDING}})


def is_refused(api: httpx.Client, answers: list[httpx.Response]) -> bool:
    answers.append(post_padded(api))
    return answers[-1].status_code != 202


def family(world: World) -> set[int]:
    return {child.pid for process in world.instance.processes for child in [process, *process.children()]}


def check_integrity(world: World) -> None:
    """What is recorded is whole: each outcome has its event, and the file is sound."""
    finished = world.rows("SELECT count(*) FROM agents_runevent WHERE kind='step_finished'")
    assert finished == world.rows("SELECT count(*) FROM agents_step WHERE status='succeeded'")
    assert world.events_have_no_gaps()
    url = world.instance.database_url
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(urlsplit(url).path[1:], timeout=20.0)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.fault(18)
def test_a_full_disk_is_waited_for(world_and_disk: tuple[World, Disk]) -> None:
    world, disk = world_and_disk
    api = world.instance.api
    accepted = [world.queue("chain", steps=60, seconds=0.1) for _ in range(10)]
    wait_until(lambda: len(world.done()) > 30, 30.0, "the first steps")
    before = family(world)

    disk.fill()
    answers: list[httpx.Response] = []
    wait_until(partial(is_refused, api, answers), 30.0, "a refusal")
    check_outage(answers[-1], "The disk")
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    # Longer than a lease: nobody takes runs away, as nobody else could write either.
    full_since = time.monotonic()
    wait_until(lambda: time.monotonic() > full_since + LEASE * 1.5, what="a lease to pass")
    assert api.get(f"runs/{accepted[0]}").status_code == 200
    # A server may find a place again where a transaction was rolled back; what it takes then, it must keep.
    wait_until(partial(is_refused, api, answers), 30.0, "a refusal after that")
    check_outage(answers[-1], "The disk")

    disk.make_room()
    wait_until(lambda: not is_refused(api, answers), 30.0, "runs to be accepted again")
    world.wait_for_the_end()
    accepted += [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert {str(UUID(str(id))) for (id,) in world.rows("SELECT id FROM agents_run")} == set(accepted)
    check_integrity(world)
    assert set(world.statuses()) == {"succeeded"}
    effects = Counter(world.done())
    assert set(effects.values()) == {1}
    assert {pair for pair in world.recorded() if pair[1].startswith("link")} == set(effects)
    assert family(world) == before
    for process in world.instance.processes:
        assert "Traceback" not in process.log.read_text(errors="replace")
