"""Results that tools have given, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from agents.engine.ports import CallInfo
from agents.services.secrets import set_secret
from agents.workflows.toolport import RegistryToolPort
from tests.factories import make_workspace
from tools import ToolContext, kept, tool
from tools.limits import store
from tools.models import ToolResult
from tools.registry import Registry
from tools.secrets import vault

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_result_serves_its_workspace_until_it_is_too_old() -> None:
    mine, other = make_workspace(), make_workspace()
    kept.keep(mine.pk, "d", "look", {"text": "old\0"}, 60)
    kept.keep(mine.pk, "d", "look", {"text": "new\0"}, 60)
    assert kept.recall(mine.pk, "d") == {"text": "new\0"}
    assert kept.recall(other.pk, "d") is None
    kept.keep(mine.pk, "d", "look", {"text": "over"}, -1)
    assert kept.recall(mine.pk, "d") is None
    store.sweep(store.database_time())
    assert not ToolResult.objects.exists()


def test_what_is_too_large_is_not_kept() -> None:
    kept.keep(make_workspace().pk, "d", "look", "x" * kept.MAX_KEPT, 60)
    assert not ToolResult.objects.exists()


def test_no_secret_is_kept_with_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_this_thread(function: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(function)(*args)

    # The pool's threads would keep connections to the test's database.
    for module in ("tools.secrets", "agents.workflows.toolport"):
        monkeypatch.setattr(f"{module}.run_in_thread", in_this_thread)
    workspace = make_workspace()
    set_secret(workspace=workspace, name="key", value="canary-in-a-cage", by=None)
    known = Registry()

    @tool(into=known, effect="none", cache=60)
    async def sing(context: ToolContext) -> str:
        "Sing."
        return f"it is {await context.secret('key')}"

    port = RegistryToolPort(search=lambda *_: (), known=known, secrets=vault)
    info = CallInfo(workspace.pk, uuid4(), "tool:sing#0", 1, "key", lambda: datetime.now(UTC))
    first, again = (async_to_sync(port.call)("sing", {}, info) for _ in range(2))
    assert (first.cached, again.cached) == (False, True)
    assert again.text == "it is [secret key]"
    assert "canary" not in ToolResult.objects.get().output
