"""A real driver on the test database, and rows to drive.

Models are imported where they are used: this file is read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from agents.engine.journal.store import Store
    from agents.models import Run, Worker, Workspace
    from agents.testing import ScriptedModel, ScriptedTools
    from tests.batches import Writer
    from tests.driving import RunningDriver
    from tests.gates import GatedWorld


@pytest.fixture
def database(transactional_db: None) -> None:
    """The test database with real commits, which other threads see."""


@pytest.fixture
def workspace(database: None) -> Workspace:
    from tests.factories import make_workspace

    return make_workspace()


@pytest.fixture
def store(database: None) -> Iterator[Store]:
    from agents.engine.journal.opening import open_store

    made = open_store()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def own_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workflows that a test registers are gone after it."""
    from agents.engine import registry

    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))


@pytest.fixture
def model() -> ScriptedModel:
    from agents.testing import ScriptedModel

    return ScriptedModel()


@pytest.fixture
def tools() -> ScriptedTools:
    from agents.testing import ScriptedTools

    return ScriptedTools()


@pytest.fixture
def start_driver(database: None, model: ScriptedModel, tools: ScriptedTools) -> Iterator[Callable[..., RunningDriver]]:
    """Start drivers; all are stopped at the end."""
    from agents.engine.ports import Ports
    from agents.engine.worker_settings import WorkerSettings
    from tests.driving import QUICK, Artifacts, Partials, RunningDriver

    started: list[RunningDriver] = []

    def start(**settings: Any) -> RunningDriver:
        ports = Ports(model, tools, Partials(), Artifacts())
        started.append(RunningDriver(ports, WorkerSettings(**{**QUICK, **settings})))
        return started[-1]

    yield start
    for driver in started:
        driver.stop()


@pytest.fixture
def driver(start_driver: Callable[..., RunningDriver]) -> RunningDriver:
    return start_driver()


@pytest.fixture
def queue(workspace: Workspace) -> Callable[..., UUID]:
    """Queue a run of a workflow by its name; gives its id."""
    from agents.services.runs import start_run

    def put(name: str, input: Any = None, **options: Any) -> UUID:
        return start_run(workspace=workspace, workflow=name, input=input, **options).pk

    return put


@pytest.fixture
def world(database: None) -> Iterator[GatedWorld]:
    """What steps do; nothing is held up any more when the test is over."""
    from tests.gates import GatedWorld

    world = GatedWorld()
    yield world
    world.release.set()


@pytest.fixture
def worker(database: None) -> Worker:
    from tests.factories import make_worker

    return make_worker()


@pytest.fixture
def writer(store: Store, worker: Worker) -> Writer:
    from tests.batches import Writer

    return Writer(store, worker)


@pytest.fixture
def run(workspace: Workspace, worker: Worker) -> Run:
    """A run in the hands of `worker`, in its first lease."""
    from tests.factories import make_run

    return make_run(workspace, status="running", worker=worker, epoch=1)
