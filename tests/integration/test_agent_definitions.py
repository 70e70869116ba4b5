"""Drafts, versions and their exchange by the services; and that what is published stays as it is, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction

from agents.definitions.checking import problems_of
from agents.engine.directory import agent_config, resolve_target
from agents.engine.errors import Permanent
from agents.models import Agent, AgentDraft, AgentVersion, Role, User, Workspace
from agents.models.agent import Published
from agents.services import drafts, publishing
from agents.services.agent_exchange import export_agent, import_agent, preview_import
from agents.services.agents import ensure_starting_agents
from agents.services.drafts import Draft, create_agent, discard_draft, draft_of, get_agent, save_draft
from agents.services.errors import Conflict, InvalidDefinition, InvalidInput, NotAllowed, NotFound
from agents.services.publishing import compare, publish, roll_back, set_archived
from agents.services.runs import start_run
from tests.factories import make_run, make_user, make_workspace

pytestmark = pytest.mark.django_db

TOPIC = {"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string", "minLength": 3}}}


@pytest.fixture
def home() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def admin(home: Workspace) -> User:
    return make_user(home, Role.ADMIN)


def made(home: Workspace, admin: User, **fields: Any) -> Draft:
    return create_agent(home, {"name": "reader", "instructions": "Read.", **fields}, by=admin)


def published(home: Workspace, admin: User, **fields: Any) -> Agent:
    draft = made(home, admin, **fields)
    publish(draft.agent, revision=draft.revision, by=admin)
    return get_agent(home, draft.agent.name)


def test_a_draft_is_edited_and_published_as_numbered_versions(home: Workspace, admin: User) -> None:
    draft = made(home, admin, description="Reads.")
    agent = draft.agent
    assert (draft.revision, draft.is_changed, agent.current) == (1, True, None)
    with pytest.raises(InvalidInput, match="no published version"):
        start_run(workspace=home, agent=agent, input="x", by=admin)

    draft = save_draft(agent, {"tools": ["web_fetch"], "caps": {"steps": 9}}, revision=1, by=admin)
    assert (draft.revision, draft.definition["instructions"], draft.definition["tools"]) == (2, "Read.", ["web_fetch"])
    first = publish(agent, revision=2, note=" The first. ", by=admin)
    assert (first.number, first.note, first.created_by, first.caps) == (1, "The first.", admin, {"steps": 9})
    assert agent_config(first.pk).caps == {"steps": 9}

    agent = get_agent(home, "reader")
    draft = draft_of(agent)
    assert (draft.revision, draft.is_changed, draft.definition["caps"]) == (3, False, {"steps": 9})
    with pytest.raises(Conflict, match="nothing to publish"):
        publish(agent, revision=3, by=admin)
    draft = save_draft(agent, {"description": "Reads well."}, revision=3, by=admin)
    assert get_agent(home, "reader").description == "Reads."
    second = publish(agent, revision=draft.revision, by=admin)
    assert (second.number, get_agent(home, "reader").description) == (2, "Reads well.")
    assert [version.number for version in publishing.versions_of(agent)] == [2, 1]


def test_who_saves_what_they_have_not_seen_is_told(home: Workspace, admin: User) -> None:
    agent = made(home, admin).agent
    save_draft(agent, {"instructions": "Mine."}, revision=1, by=admin)
    for stale in (0, 1, 3):
        with pytest.raises(Conflict, match="was changed or published since revision"):
            save_draft(agent, {"instructions": "Theirs."}, revision=stale, by=admin)
        with pytest.raises(Conflict):
            publish(agent, revision=stale, by=admin)
    assert draft_of(agent).definition["instructions"] == "Mine."


def test_of_two_saves_at_once_one_wins(home: Workspace, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    (agent, *_) = ensure_starting_agents(home)
    looked, rivals = draft_of, [lambda: save_draft(agent, {"instructions": "Rival."}, revision=0, by=admin)]

    def look(of: Agent) -> Draft:
        draft = looked(of)
        # Both have looked; the rival writes first.
        while rivals:
            rivals.pop()()
        return draft

    monkeypatch.setattr(drafts, "draft_of", look)
    with pytest.raises(Conflict, match="was changed or published since"):
        save_draft(agent, {"instructions": "Mine."}, revision=0, by=admin)
    assert draft_of(agent).definition["instructions"] == "Rival."
    assert draft_of(agent).revision == 1


def test_what_can_not_be_used_is_kept_as_a_draft_but_not_published(home: Workspace, admin: User) -> None:
    agent = made(home, admin).agent
    draft = save_draft(agent, {"tools": ["rm"], "instructions": "{{ topic }}"}, revision=1, by=admin)
    assert {problem.field for problem in publishing.problems_of_draft(draft)} == {"tools", "instructions"}
    with pytest.raises(InvalidDefinition) as caught:
        publish(agent, revision=2, by=admin)
    assert set(caught.value.errors) == {"tools", "instructions"}
    assert draft_of(agent).revision == 2
    assert not agent.versions.exists()
    with pytest.raises(InvalidDefinition) as caught:
        save_draft(agent, {"caps": {"steps": -1}, "colour": 1}, revision=2, by=admin)
    assert set(caught.value.errors) == {"caps.steps", "colour"}
    with pytest.raises(InvalidInput, match="know it by that name"):
        save_draft(agent, {"name": "other"}, revision=2, by=admin)


def test_names_are_given_once_and_a_draft_can_be_dropped(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    with pytest.raises(Conflict, match="already"):
        made(home, admin)
    for word in ("new", "import"):
        with pytest.raises(InvalidInput, match="another word"):
            made(home, admin, name=word)
    revision = save_draft(agent, {"instructions": "Other."}, revision=draft_of(agent).revision, by=admin).revision
    assert not discard_draft(agent, revision=revision, by=admin).is_changed
    # What is as it was is no change.
    same = save_draft(agent, {"instructions": "Read."}, revision=revision + 1, by=admin)
    assert not same.is_changed
    fresh = made(home, admin, name="fresh").agent
    with pytest.raises(Conflict, match="all there is"):
        discard_draft(fresh, revision=1, by=admin)


def test_a_workflow_judges_its_options(home: Workspace, admin: User) -> None:
    draft = made(home, admin, workflow="team", options={"width": "wide", "colour": "red"})
    assert {problem.field for problem in publishing.problems_of_draft(draft)} == {"options.width", "options.colour"}
    draft = save_draft(draft.agent, {"options": {"planner": "nobody"}}, revision=1, by=admin)
    assert [problem.field for problem in publishing.problems_of_draft(draft)] == ["options.planner"]


def test_circles_of_agents_need_a_depth(home: Workspace, admin: User) -> None:
    published(home, admin, name="writer")
    published(home, admin, name="reader", sub_agents=["writer"])
    writer = get_agent(home, "writer")
    revision = save_draft(writer, {"sub_agents": ["reader"]}, revision=draft_of(writer).revision, by=admin).revision
    with pytest.raises(InvalidDefinition, match="writer → reader → writer is a circle"):
        publish(writer, revision=revision, by=admin)
    revision = save_draft(writer, {"caps": {"depth": 2}}, revision=revision, by=admin).revision
    assert publish(writer, revision=revision, by=admin).number == 2


def test_an_agent_is_taken_back_and_runs_are_pinned(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    revision = save_draft(agent, {"instructions": "Read well."}, revision=2, by=admin).revision
    publish(agent, revision=revision, by=admin)
    unpublished = save_draft(agent, {"instructions": "Draft."}, revision=revision + 1, by=admin)

    def version_started(**options: Any) -> int:
        run = start_run(workspace=home, agent=get_agent(home, "reader"), input="x", by=admin, **options)
        assert run.agent_version is not None
        return run.agent_version.number

    assert (version_started(), version_started(version=1)) == (2, 1)
    assert roll_back(agent, number=1, by=admin).number == 1
    assert (version_started(), version_started(version=2)) == (1, 2)
    assert draft_of(get_agent(home, "reader")).definition == unpublished.definition
    with pytest.raises(Conflict, match="already"):
        roll_back(get_agent(home, "reader"), number=1, by=admin)
    for number in (0, 3, 2**40):
        with pytest.raises(NotFound):
            roll_back(agent, number=number, by=admin)
        with pytest.raises(NotFound):
            version_started(version=number)
    # Numbers go on from the highest, not from where it was taken back to.
    assert publish(get_agent(home, "reader"), revision=unpublished.revision, by=admin).number == 3

    pinned = [resolve_target(home.pk, name).agent_version_id for name in ("reader", "reader@1", "reader@2")]
    numbers = {version.pk: version.number for version in agent.versions.all()}
    assert [numbers[found] for found in pinned if found] == [3, 1, 2]
    for name in ("reader@9", "reader@", "reader@x", "reader@²", "nobody@1"):
        with pytest.raises(Permanent):
            resolve_target(home.pk, name)


def test_the_same_key_for_another_version_is_another_request(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    first = start_run(workspace=home, agent=agent, input="x", by=admin, idempotency_key="k")
    assert start_run(workspace=home, agent=agent, input="x", by=admin, idempotency_key="k").pk == first.pk
    with pytest.raises(Conflict):
        start_run(workspace=home, agent=agent, version=1, input="x", by=admin, idempotency_key="k")


def test_an_input_must_fit_the_agents_schema(home: Workspace, admin: User) -> None:
    agent = published(home, admin, input_schema=TOPIC, instructions="About {{ topic }}.")
    run = start_run(workspace=home, agent=agent, input={"topic": "tides"}, by=admin)
    assert run.input == {"topic": "tides"}
    for input, field in (({"topic": "x"}, "input.topic"), ({}, "input"), ("tides", "input"), (None, "input")):
        with pytest.raises(InvalidInput) as caught:
            start_run(workspace=home, agent=agent, input=input, by=admin)
        assert caught.value.field == field


def test_an_archived_agent_starts_nothing_and_comes_back(home: Workspace, admin: User) -> None:
    agent = set_archived(published(home, admin), archived=True, by=admin)
    with pytest.raises(InvalidInput):
        start_run(workspace=home, agent=agent, input="x", by=admin)
    with pytest.raises(Permanent):
        resolve_target(home.pk, "reader")
    assert not publishing.surroundings(home).agents
    agent = set_archived(agent, archived=False, by=admin)
    assert start_run(workspace=home, agent=agent, input="x", by=admin).agent_version == agent.current


def test_versions_and_the_draft_are_compared(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    save_draft(agent, {"instructions": "Read well.", "caps": {"usd": 1}}, revision=2, by=admin)
    assert [change.field for change in compare(agent, "1", "draft")] == ["instructions", "caps.usd"]
    assert compare(agent, "1", "1") == []
    for name in ("x", "", "-1", "²", "9" * 30):
        with pytest.raises(InvalidInput, match="by its number"):
            compare(agent, name, "draft")


def test_only_administrators_of_the_workspace_change_agents(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    others = [make_user(home, Role.MEMBER), make_user(home, Role.VIEWER), make_user(make_workspace(), Role.ADMIN)]
    for person in others:
        for refused in (
            lambda by: create_agent(home, {"name": "x"}, by=by),
            lambda by: save_draft(agent, {}, revision=2, by=by),
            lambda by: discard_draft(agent, revision=2, by=by),
            lambda by: publish(agent, revision=2, by=by),
            lambda by: roll_back(agent, number=1, by=by),
            lambda by: set_archived(agent, archived=True, by=by),
            lambda by: import_agent(home, export_agent(agent), revision=2, by=by),
            lambda by: preview_import(home, export_agent(agent), by=by),
        ):
            with pytest.raises(NotAllowed):
                refused(person)
    with pytest.raises(NotFound):
        get_agent(make_workspace(), "reader")


def test_an_agent_is_carried_to_another_workspace(home: Workspace, admin: User) -> None:
    agent = published(
        home, admin, tools=["web_fetch"], caps={"steps": 5}, instructions="Read.\nThen tell {{ goal }}.\n"
    )
    text = export_agent(agent)
    abroad = make_workspace()
    other = make_user(abroad, Role.ADMIN)
    draft = import_agent(abroad, text, by=other)
    assert draft.definition == drafts.definition_of(agent.current, agent)  # type: ignore[arg-type]
    assert draft.agent.current is None
    assert export_agent(draft.agent, "draft") == text
    with pytest.raises(NotFound, match="no published version"):
        export_agent(draft.agent)


@pytest.mark.fault(40)
def test_reading_an_agent_in_overwrites_nothing_unseen(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    mine = save_draft(agent, {"instructions": "Mine."}, revision=2, by=admin)
    text = export_agent(agent).replace("Read.", "Theirs.") + "tools: [rm]\n"

    coming = preview_import(home, text, by=admin)
    assert [change.field for change in coming.changes] == ["instructions", "tools"]
    assert (coming.changes[0].before, coming.changes[0].after) == ("Mine.", "Theirs.")
    assert [problem.field for problem in coming.problems] == ["tools"]
    assert draft_of(agent) == mine

    with pytest.raises(Conflict, match="already"):
        import_agent(home, text, by=admin)
    with pytest.raises(Conflict, match="was changed or published since"):
        import_agent(home, text, revision=mine.revision - 1, by=admin)
    assert draft_of(agent) == mine
    taken = import_agent(home, text, revision=mine.revision, by=admin)
    assert taken.definition["instructions"] == "Theirs."
    # Runs get what they got before.
    assert get_agent(home, "reader").current == agent.current
    with pytest.raises(InvalidDefinition):
        publish(agent, revision=taken.revision, by=admin)
    with pytest.raises(InvalidDefinition, match="tag"):
        import_agent(home, f"{text}options: !!python/object/apply:os.getpid []\n", revision=taken.revision, by=admin)


_OTHER = {
    models.DateTimeField: "CURRENT_TIMESTAMP",
    models.BigAutoField: "999",
    models.ForeignKey: "999",
    models.PositiveIntegerField: "999",
}
"""What a column of a type might be changed to; the others take a text."""


def test_what_is_published_stays_as_it_is_by_every_path(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    version = agent.versions.get()
    version.instructions = "Other."
    for change in (
        version.save,
        version.delete,
        lambda: AgentVersion.objects.filter(pk=version.pk).update(instructions="Other."),
        lambda: agent.versions.all().delete(),
        lambda: AgentVersion.objects.bulk_update([version], ["instructions"]),
    ):
        with pytest.raises(Published), transaction.atomic():
            change()
    # Past Django, by whatever speaks SQL: each column, also those that are added one day.
    table = AgentVersion._meta.db_table
    for field in AgentVersion._meta.concrete_fields:
        if field.attname == "created_by_id":
            continue
        value = _OTHER.get(type(field), "'[9]'")
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {field.column} = {value} WHERE id = %s", [version.pk])  # noqa: S608 (names of our own)
    assert AgentVersion.objects.get().instructions == "Read."


def test_the_starting_agents_could_be_published(home: Workspace, admin: User) -> None:
    for agent in ensure_starting_agents(home):
        draft = draft_of(agent)
        assert draft.definition["description"] == agent.description != ""
    there = publishing.surroundings(home)
    for agent in ensure_starting_agents(home):
        assert problems_of(drafts.read(draft_of(agent).definition), there) == []


def test_who_published_may_be_forgotten(home: Workspace, admin: User) -> None:
    agent = published(home, admin)
    make_run(home, agent_version=agent.current)
    admin.delete()
    assert AgentVersion.objects.get().created_by is None
    assert AgentDraft.objects.get().edited_by is None
