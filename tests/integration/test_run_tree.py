"""The tree of a run, in the API and on its page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Role, Run, Workspace
from agents.services import trees
from tests.factories import make_client, make_run, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("team")


def tree_of(workspace: Workspace, run: Run) -> Any:
    return make_client(make_token(workspace)).get(f"/api/v1/runs/{run.pk}/tree").json()


def page_of(workspace: Workspace, run: Run) -> str:
    client = Client()
    client.force_login(make_user(workspace, Role.VIEWER))
    return client.get(f"/w/team/runs/{run.pk}/").content.decode()


def below(parent: Run, goal: str, **overrides: Any) -> Run:
    fields = {"root": parent.root or parent, "depth": parent.depth + 1, "input": {"goal": goal}, **overrides}
    return make_run(parent.workspace, parent=parent, parent_key="call:echo#0", **fields)


def test_a_tree_adds_up_what_its_runs_took(workspace: Workspace) -> None:
    now = timezone.now()
    budget = {"steps": 50, "depth": 3, "seconds": 600, "tokens": 1000, "usd": 2}
    root = make_run(workspace, budget=budget, deadline_at=now + timedelta(seconds=300), steps_done=2, input_tokens=10)
    first = below(root, "first", reason="waiting for a sub-run", steps_done=3, cost_microusd=250_000)
    second = below(root, "second", status="succeeded", output_tokens=5, cost_microusd=250_000)
    deep = below(first, "<b>deep</b>", status="failed", reason="failed: The 5 steps are used up.", steps_done=4)
    make_run(workspace, steps_done=900)
    for asked in (root, deep):
        tree = tree_of(workspace, asked)
        assert [run["id"] for run in tree["runs"]] == [str(run.pk) for run in (root, first, deep, second)]
        assert (tree["hidden"], tree["children"], tree["ended"]) == (0, 3, 2)
        assert tree["taken"] == {"steps": 9, "children": 3, "tokens": 15, "cost_microusd": 500_000}
        used = {cap["name"]: (cap["used"], cap["most"]) for cap in tree["caps"]}
        assert 300 <= used.pop("seconds")[0] < 600
        assert used == {"steps": (9, 50), "depth": (2, 3), "tokens": (15, 1000), "usd": (0.5, 2)}
    text = page_of(workspace, deep)
    for words in ("2 of 3 ended", "for a sub-run", "The 5 steps are used up.", "9 of 50 used"):
        assert words in text, words
    assert "$0.50 of $2.00 used" in text
    assert "&lt;b&gt;deep&lt;/b&gt;" in text
    assert "not listed" not in text


def test_a_large_tree_says_how_many_runs_it_does_not_list(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "SHOWN", 3)
    root = make_run(workspace)
    children = [below(root, f"child {number}") for number in range(4)]
    last = below(children[-1], "the last")
    tree = tree_of(workspace, root)
    assert [run["goal"] for run in tree["runs"][1:]] == ["child 0", "child 1"]
    assert tree["hidden"] == 3
    assert "3 more runs of this tree are not listed." in page_of(workspace, root)
    # Who asks for a run finds it there, with those above it.
    tree = tree_of(workspace, last)
    assert [run["goal"] for run in tree["runs"][1:]] == ["child 0", "child 1", "child 3", "the last"]
    assert tree["hidden"] == 1


def test_a_run_alone_has_no_tree_to_show(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert len(tree_of(workspace, run)["runs"]) == 1
    assert "tree-title" not in page_of(workspace, run)


def test_another_workspace_sees_no_tree(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert make_client(make_token(make_workspace())).get(f"/api/v1/runs/{run.pk}/tree").status_code == 404
