"""Models of a project as sources: each change is an event, in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection, transaction

from agents.models import Agent, Document, Event, Thread, Workspace
from agents.services import sources
from agents.services.sources import BadSource, connect, disconnect, read_source
from tests.factories import make_agent, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("home")


@pytest.fixture(autouse=True)
def connected() -> Iterator[None]:
    """Threads have a workspace of their own, groups are of the one that the setting names."""
    made = connect(["agents.Thread", "auth.Group@home"])
    yield
    disconnect(made)


@pytest.fixture
def thread(workspace: Workspace) -> Thread:
    return Thread.objects.create(workspace=workspace, agent=make_agent(workspace), title="Lamps")


def told() -> list[tuple[str, Any]]:
    return list(Event.objects.order_by("id").values_list("name", "data"))


def test_a_row_that_is_made_changed_and_removed(workspace: Workspace, thread: Thread) -> None:
    thread.title = "Red lamps"
    thread.save()
    thread.save()
    thread.policy = "reject"
    thread.title = "not saved"
    thread.save(update_fields=["policy"])
    pk = str(thread.pk)
    thread.delete()
    (created, first), *updates, (deleted, last) = told()
    assert (created, first["model"], first["pk"]) == ("agents.thread.created", "agents.thread", pk)
    assert (first["values"]["title"], first["values"]["agent_id"]) == ("Lamps", Agent.objects.get().pk)
    assert updates == [
        ("agents.thread.updated", {"model": "agents.thread", "pk": pk, "changed": [name], **values})
        for name, values in (
            ("title", {"values": {"title": "Red lamps"}, "before": {"title": "Lamps"}}),
            ("policy", {"values": {"policy": "reject"}, "before": {"policy": "enqueue"}}),
        )
    ]
    assert (deleted, last["values"]["title"]) == ("agents.thread.deleted", "Red lamps")
    event = Event.objects.first()
    assert event is not None
    assert (event.workspace, event.source, event.tainted) == (workspace, "model", False)


def test_rows_of_a_query_that_are_removed_are_told_of(workspace: Workspace, thread: Thread) -> None:
    Thread.objects.create(workspace=workspace, agent=thread.agent)
    Thread.objects.all().delete()
    assert [name for name, _ in told()].count("agents.thread.deleted") == 2


def test_whose_event_it_is(workspace: Workspace) -> None:
    other = make_workspace("other")
    Thread.objects.create(workspace=other, agent=make_agent(other))
    Group.objects.create(name="Buyers")
    assert list(Event.objects.order_by("id").values_list("workspace__slug", "name")) == [
        ("other", "agents.thread.created"),
        ("home", "auth.group.created"),
    ]
    Workspace.objects.filter(slug="home").update(slug="elsewhere")
    Group.objects.create(name="Sellers")
    assert Event.objects.count() == 2, "the workspace that is named is not there"


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_taken_back_is_no_event(workspace: Workspace) -> None:
    with transaction.atomic():
        Group.objects.create(name="Buyers")
        assert Event.objects.count() == 1
        transaction.set_rollback(True)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_change_and_event_are_one_transaction_where_nobody_has_begun_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group.objects.create(name="Buyers")
    assert not connection.in_atomic_block

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "emit_event", die)
    group.name = "Sellers"
    with pytest.raises(KeyboardInterrupt):
        group.save()
    with pytest.raises(KeyboardInterrupt):
        Group.objects.create(name="Others")
    with pytest.raises(KeyboardInterrupt):
        group.delete()
    assert list(Group.objects.values_list("name", flat=True)) == ["Buyers"]


def test_what_is_secret_or_too_long_is_not_shown(workspace: Workspace) -> None:
    found = sources._shown({"name": "a", "api_key": "k", "password": "p", "text": "x" * 5_000, "more": ["y" * 300_000]})
    assert found == {"name": "a", "text": "x" * 2_000 + "… [5,000 characters]"}


def test_fixtures_are_no_news(workspace: Workspace) -> None:
    Group(pk=7, name="Buyers").save_base(raw=True)
    assert not Event.objects.exists()


def test_the_setting_names_the_sources(settings: Any, workspace: Workspace) -> None:
    settings.EVENT_MODELS = ["agents.Document"]
    apps.get_app_config("agents").ready()
    Document.objects.create(workspace=workspace, title="Lamps", text="Lamps.", size=6, digest="d")
    disconnect([read_source("agents.Document")])
    Document.objects.create(workspace=workspace, title="Chairs", text="Chairs.", size=7, digest="e")
    assert [name for name, _ in told()] == ["agents.document.created"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("shop.Order", "no model 'shop.Order'"),
        ("nonsense", "no model 'nonsense'"),
        ("auth.Group", "no foreign key `workspace`"),
        ("agents.Step", "no foreign key `workspace`"),
    ],
)
def test_what_can_be_no_source_is_said_at_the_start(entry: str, says: str) -> None:
    with pytest.raises(BadSource, match=says):
        read_source(entry)
