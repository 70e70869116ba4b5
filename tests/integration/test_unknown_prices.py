"""What a run cost where nobody knows the price of a model it used: no amount is made up."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.models import Role, Run, RunStatus, Step, StepStatus, Workspace
from agents.services.trees import read_tree
from tests.factories import make_agent, make_user, make_workspace

pytestmark = pytest.mark.django_db


def make_run(workspace: Workspace, *costs: int | None, **values: object) -> Run:
    """A run that has asked models, each call for so many millionths of a dollar; None: nobody knows."""
    now = timezone.now()
    run = Run.objects.create(
        workspace=workspace,
        agent_version=make_agent(workspace, f"agent-{Run.objects.count()}").current,
        workflow="react",
        status=RunStatus.SUCCEEDED,
        input={"goal": "Count."},
        cost_microusd=sum(cost or 0 for cost in costs),
        input_tokens=10 * len(costs),
        started_at=now,
        finished_at=now,
        **values,
    )
    steps = [("think", cost, 10) for cost in costs] + [("tool", None, 0)]
    for number, (kind, cost, tokens) in enumerate(steps):
        Step.objects.create(
            run=run,
            key=f"{kind}#{number}",
            kind=kind,
            name=kind,
            status=StepStatus.SUCCEEDED,
            cost_microusd=cost,
            input_tokens=tokens,
            started_at=now,
            finished_at=now,
        )
    return run


@pytest.mark.parametrize(
    ("costs", "said"),
    [((2_500_000,), "$2.50"), ((0,), "$0"), ((None,), "unknown"), ((2_500_000, None), "at least $2.50")],
)
def test_the_cost_of_a_run_on_its_page_in_lists_and_by_the_api(costs: tuple[int | None, ...], said: str) -> None:
    workspace = make_workspace()
    client = Client()
    client.force_login(make_user(workspace, Role.MEMBER))
    run = make_run(workspace, *costs)
    assert (
        f'<dt>Cost</dt><dd class="tnum">{said}</dd>'
        in client.get(f"/w/{workspace.slug}/runs/{run.pk}/").content.decode()
    )
    assert f'data-name="Cost">{said}</td>' in client.get(f"/w/{workspace.slug}/runs/").content.decode()
    agents = client.get(f"/w/{workspace.slug}/agents/").content.decode()
    assert f'data-name="Cost">{"unknown" if None in costs else said}</td>' in agents
    assert Run.objects.get(pk=run.pk).is_priced is (None not in costs)


def test_the_cost_of_a_tree() -> None:
    workspace = make_workspace()
    root = make_run(workspace, 1_000_000)
    assert read_tree(root, timezone.now()).is_priced
    make_run(workspace, 500_000, parent=root, root=root, depth=1)
    assert read_tree(root, timezone.now()).is_priced
    child = make_run(workspace, None, parent=root, root=root, depth=1)
    tree = read_tree(root, timezone.now())
    assert (tree.is_priced, tree.taken.microusd) == (False, 1_500_000)
    assert {run.pk: run.is_priced for run in tree.runs}[child.pk] is False


def test_lists_find_the_unpriced_by_an_index_of_their_own() -> None:
    workspace = make_workspace()
    make_run(workspace, None)
    runs = Run.objects.of(workspace).with_prices()
    plan = runs.explain()
    if connection.vendor == "sqlite":
        assert "step_unpriced" in plan, plan
    assert [run.is_priced for run in runs] == [False]
