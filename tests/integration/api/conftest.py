"""A workspace with a token, and a workflow that runs may name.

Models are imported where they are used: this file is read before Django is set up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from agents.models import Workspace


@pytest.fixture(autouse=True, scope="session")
def _known_workflow() -> None:
    from agents.engine import workflow
    from agents.engine.registry import known_workflows

    if "api_echo" not in known_workflows():
        workflow("api_echo")(_echo)


async def _echo(ctx: object, input: object) -> object:
    """Give back its input; no test here runs it."""
    return input


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import make_workspace

    return make_workspace()


@pytest.fixture
def api(workspace: Workspace) -> Client:
    """A client with a member's token of the workspace."""
    from tests.factories import make_client, make_token

    return make_client(make_token(workspace))
