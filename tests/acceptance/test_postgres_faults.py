"""PostgreSQL is stopped, ends sessions, takes no more of them, while runs are under way: all goes on by itself.

One web process and two workers live through all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.clients import check_outage, cookies_of, log_in, post_runs, read_events
from tests.instance import Instance, Template, running_instance, wait_until
from tests.postgres import Server, private_server
from tests.world import World

ROLE = "product"
PARTS = {"agentsite", "agentsite journal", "agentsite broker", "agentsite live"}
TRY_AGAIN_LATER = 4503
SESSIONS = b"SELECT pid, application_name FROM pg_stat_activity WHERE datname=%s AND usename=%s"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_server() as made:
        yield made


@pytest.fixture(scope="module")
def served(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance whose role is no superuser, as those are not subject to a limit of connections."""
    template = Template(directory=tmp_path_factory.mktemp("template"), server=server.url)
    template.prepare()
    with psycopg.connect(template.database_url, autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {ROLE} LOGIN")
        administrator.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}")
        administrator.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE}")
    with running_instance(template, tmp_path_factory.mktemp("postgres")) as made:
        parts = urlsplit(made.database_url)
        made.database_url = urlunsplit(parts._replace(netloc=parts.netloc.replace("agentsite@", f"{ROLE}@")))
        yield made


@pytest.fixture(scope="module")
def world(served: Instance, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(served, tmp_path_factory.mktemp("world"))
    # No lease runs out here, however slow the machine: then each step is executed once.
    served.environment |= {"WORKFLOW_MODULES": "tests.workflows", "LEASE_SECONDS": "60", "HEARTBEAT_SECONDS": "0.5"}
    served.start_web()
    made.start_workers()
    wait_until(lambda: len(worker_pids(made)) == 2, 30.0, "the workers")
    return made


@pytest.fixture(scope="module")
def session(world: World) -> Iterator[httpx.Client]:
    made = log_in(world.instance)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nobody_dies(world: World) -> Iterator[None]:
    """No process of the product ends or is replaced, and nothing breaks in a way that it did not foresee."""
    before = family(world)
    yield
    assert family(world) == before
    for process in world.instance.processes:
        assert "Traceback" not in process.log.read_text(errors="replace")


def worker_pids(world: World) -> set[int]:
    return {pid for (pid,) in world.rows("SELECT pid FROM agents_worker WHERE state='alive'")}


def family(world: World) -> set[int]:
    return {child.pid for process in world.instance.processes for child in [process, *process.children()]}


def check_all(world: World, runs: list[str]) -> None:
    """Each run has succeeded, and no step of any was executed twice or recorded without having been executed."""
    world.wait_for_the_end()
    assert len(set(runs)) == len(runs)
    assert set(world.statuses()) == {"succeeded"}
    effects = Counter(world.done())
    assert set(effects.values()) == {1}
    assert {pair for pair in world.recorded() if pair[1].startswith("link")} == set(effects)
    assert {run for run, _ in effects} >= set(runs)
    assert world.events_have_no_gaps()


def wait_for_effects(world: World, count: int) -> None:
    goal = len(world.done()) + count
    wait_until(lambda: len(world.done()) >= goal, 30.0, f"{count} more steps")


@pytest.mark.fault(14)
def test_stopped_at_once_and_started_again_three_times(server: Server, world: World, session: httpx.Client) -> None:
    keys = [f"stop-{number}" for number in range(40)]
    with ThreadPoolExecutor(1) as pool:
        posting = post_runs(pool, world.instance.api, keys, steps=30, seconds=0.05)
        for count in (20, 75, 130):
            wait_for_effects(world, count)
            server.stop_at_once()
            try:
                for client, path in ((world.instance.api, "runs"), (session, "/"), (session, "/readyz")):
                    check_outage(client.get(path), "The database can't be reached.")
            finally:
                server.start()
        runs = posting.result()
    check_all(world, runs)
    assert len(runs) == len(keys)
    # A line when it goes and one when it comes back, in each of the processes; not one for each try.
    for process in world.instance.processes:
        lines = process.log.read_text().splitlines()
        assert 1 <= sum("It is tried again until it works" in line for line in lines) <= 10
        assert 1 <= sum("The database works again" in line for line in lines) <= 30


def sessions(world: World, server: Server, condition: str = "") -> list[tuple[int, str]]:
    """Give (pid, purpose) of the product's sessions."""
    name = urlsplit(world.instance.database_url).path[1:]
    with psycopg.connect(server.url, autocommit=True) as administrator:
        return administrator.execute(SESSIONS + condition.encode(), (name, ROLE)).fetchall()


def terminate(server: Server, pids: list[int]) -> None:
    """End sessions, and wait until they are gone."""
    with psycopg.connect(server.url, autocommit=True) as administrator:
        administrator.execute("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s::int[]) AS pid", (pids,))


@pytest.mark.fault(15)
def test_sessions_are_ended_during_a_claim_and_everywhere(server: Server, world: World) -> None:
    in_claim = " AND application_name='agentsite journal' AND wait_event_type='Lock'"
    administrator = world.instance.database_url.replace(f"{ROLE}@", "agentsite@")
    before = len(world.done())
    with psycopg.connect(administrator) as holder:
        # Each batch notes its number with its worker first: with those rows held, the claims wait.
        holder.execute("SELECT id FROM agents_worker FOR UPDATE")
        runs = [world.queue("chain", steps=120, seconds=0.05) for _ in range(6)]
        for _ in range(2):
            waiting = wait_until(lambda: sessions(world, server, in_claim), 10.0, "a claim that waits")
            terminate(server, [pid for pid, _ in waiting])
        holder.rollback()
    ended: Counter[str] = Counter()
    with ThreadPoolExecutor(len(runs)) as pool:
        token = world.instance.api.headers["Authorization"].removeprefix("Bearer ")
        watching = [pool.submit(read_events, world.instance, token, run) for run in runs]
        wait_until(lambda: len(world.done()) > before, 30.0, "the first step")
        for _ in range(3):
            wait_for_effects(world, 20)
            found = sessions(world, server)
            ended.update(purpose for _, purpose in found)
            terminate(server, [pid for pid, _ in found])
            # A request's thread finds its session dead before it uses it: nobody notices.
            assert [world.instance.api.get("runs").status_code for _ in range(6)] == [200] * 6
        check_all(world, runs)
        for run, events in zip(runs, watching, strict=True):
            ((last,),) = world.rows("SELECT last_event FROM agents_run WHERE id=?", run)
            assert events.result() == list(range(1, last + 1))
    assert set(ended) == PARTS


@pytest.mark.fault(16)
def test_no_connection_is_left(server: Server, world: World, session: httpx.Client) -> None:
    crowded = "The database takes no more connections."
    runs = [world.queue("chain", steps=30, seconds=0.1) for _ in range(10)]
    wait_for_effects(world, 20)
    limit(server, 0)
    try:
        terminate(server, [pid for pid, _ in sessions(world, server)])
        for answer in (world.instance.api.get("runs"), world.instance.api.post("runs", json={})):
            check_outage(answer, crowded)
            assert answer.json()["status"] == 503
            assert answer.headers["Content-Type"] == "application/problem+json"
        page = session.get("/", headers={"Accept": "text/html"})
        check_outage(page, crowded)
        assert "<h1>" in page.text
        assert "Content-Security-Policy" in page.headers
        check_outage(session.get("/readyz"), crowded)
        check_outage(session.get("/healthz"), crowded)
        with pytest.raises(ConnectionClosed) as closed, open_socket(world.instance, session, runs[0]) as socket:
            socket.recv(10.0)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == TRY_AGAIN_LATER
    finally:
        limit(server, -1)
    check_all(world, runs)
    assert session.get("/readyz").status_code == 200


def limit(server: Server, connections: int) -> None:
    with psycopg.connect(server.url, autocommit=True) as administrator:
        administrator.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT {connections}".encode())


def open_socket(instance: Instance, session: httpx.Client, run: str) -> ClientConnection:
    return connect(
        f"{instance.url.replace('http', 'ws')}/ws/runs/{run}",
        additional_headers={"Cookie": cookies_of(session)},
        origin=Origin(instance.url),
        proxy=None,
    )
