"""A workspace with an agent, subscriptions, and a dispatcher that is asked by the test.

Models are imported where they are used: this file is read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

if TYPE_CHECKING:
    from agents.engine.beside import Round
    from agents.models import Agent, Subscription, Workspace
    from tests.driving import RunningDriver


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import make_workspace

    return make_workspace()


@pytest.fixture
def agent(workspace: Workspace) -> Agent:
    from tests.factories import make_agent

    return make_agent(workspace, "packer")


@pytest.fixture
def api(workspace: Workspace) -> Client:
    """A client with an administrator's token of the workspace."""
    from agents.models import Role, Scope
    from tests.factories import make_client, make_token, make_user

    scopes = [Scope.READ, Scope.WRITE, Scope.ADMIN]
    return make_client(make_token(workspace, make_user(workspace, Role.ADMIN), scopes=scopes))


@pytest.fixture
def subscribe(workspace: Workspace, agent: Agent) -> Callable[..., Subscription]:
    """Make a subscription of the agent to `order.*`, but for what the test says."""
    from agents.services.subscriptions import Wanted, create_subscription

    def make(name: str = "orders", **wanted: Any) -> Subscription:
        given = {"pattern": "order.*", "agent": agent.name, **wanted}
        return create_subscription(workspace, name, Wanted(**given), by=None)

    return make


@pytest.fixture
def dispatch(db: None) -> Callable[[], Round]:
    """Dispatch all that is there, as a worker does."""
    from agents.services.dispatching import Dispatcher

    return Dispatcher()


@pytest.fixture
def _own_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workflows that a test registers are gone after it."""
    from agents.engine import registry

    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))


@pytest.fixture
def driver(transactional_db: None, _own_workflows: None) -> Iterator[RunningDriver]:
    """A real driver that dispatches events beside its runs, as each worker does."""
    from agents.engine.beside import in_rounds
    from agents.engine.ports import Ports
    from agents.engine.worker_settings import WorkerSettings
    from agents.services.dispatching import Dispatcher
    from agents.services.listening import Listeners
    from agents.testing import ScriptedModel, ScriptedTools
    from tests.driving import QUICK, Artifacts, Partials, RunningDriver

    ports = Ports(
        ScriptedModel(),
        ScriptedTools(),
        Partials(),
        Artifacts(),
        events=Listeners(),
        beside={"events": in_rounds(Dispatcher(), every=0.05, gap=0.01)},
    )
    running = RunningDriver(ports, WorkerSettings(**QUICK))
    yield running
    running.stop()
