"""The pages of agents: from a new one to its versions; who may do what; pictures of teams."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.integration.web.conftest import As
from tests.integration.web.test_pages import INLINE

if TYPE_CHECKING:
    from agents.models import Workspace

HOME = "/w/team/agents/"
TOPIC = (
    '{"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string"}, "n": {"type": "integer"}}}'
)


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def filled(client: Client, path: str) -> dict[str, Any]:
    """Give what a browser would send of the editor's form as it is."""
    page = client.get(path)
    form = page.context["form"]
    found = {name: form[name].value() for name in form.fields}
    for name in ("options", "input_schema", "output_schema", "fallbacks"):
        found[name] = form.fields[name].prepare_value(found[name])
    return {name: value for name, value in found.items() if value not in (None, [])}


@pytest.fixture
def admin(as_: As) -> Client:
    return as_("admin")


@pytest.fixture
def given(admin: Client) -> dict[str, Any]:
    """A new agent's draft, as an administrator has filled it in and not saved it yet."""
    made = admin.post(f"{HOME}new/", {"name": "reader", "description": "Reads <b>."})
    assert made["Location"] == f"{HOME}reader/draft/"
    return {
        **filled(admin, f"{HOME}reader/draft/"),
        "instructions": "Read on {{ topic }}.\r\nTell.\r\n",
        "workflow": "react",
        "tools": ["web_fetch"],
        "approvals__tools": ["web_fetch"],
        "input_schema": TOPIC,
        "fallbacks": "openai:a\r\n\r\n offline ",
        "model": "openai:b",
        "sampling__temperature": "0.5",
        "caps__steps": "9",
    }


@pytest.fixture
def publish(admin: Client, given: dict[str, Any]) -> Callable[..., None]:
    """Change the draft and publish it; it is published once already."""

    def change(note: str = "", **changes: Any) -> None:
        draft = f"{HOME}reader/draft/"
        assert admin.post(draft, {**filled(admin, draft), **changes}).status_code == 302
        admin.post(f"{HOME}reader/publish/", {"revision": filled(admin, draft)["revision"], "note": note})

    change(**given)
    return change


def test_an_agent_is_made_under_a_name_of_its_own(as_: As, admin: Client) -> None:
    member = as_("member")
    assert "No agent yet" in text_of(admin, HOME)
    for wrong in ({"name": "two words"}, {"name": ""}, {"name": "new"}):
        assert admin.post(f"{HOME}new/", wrong).status_code == 422
    assert admin.post(f"{HOME}new/", {"name": "reader"}).status_code == 302
    assert admin.post(f"{HOME}new/", {"name": "reader"}).status_code == 422
    assert filled(admin, f"{HOME}reader/draft/")["revision"] == 1
    assert "not published" in text_of(member, HOME)
    assert "not published yet" in text_of(member, f"{HOME}reader/")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"caps__steps": "0"}, "greater than or equal to 1"),
        ({"options": "{"}, "This is no JSON"),
        ({"options": "[]"}, "This should be an object"),
        ({"fallbacks": "what is this"}, "<provider>:<model>"),
        ({"tools": "rm"}, "rm is not one of the available choices"),
        ({"sampling__temperature": "x"}, "Enter a number"),
    ],
)
def test_a_wrong_draft_is_told_of_and_keeps_what_was_typed(
    admin: Client, workspace: Workspace, given: dict[str, Any], wrong: dict[str, str], told: str
) -> None:
    from agents.services.drafts import draft_of, get_agent

    answer = admin.post(f"{HOME}reader/draft/", {**given, **wrong})
    assert answer.status_code == 422
    page = unescape(answer.content.decode())
    assert told in page
    assert "Read on {{ topic }}." in page
    assert draft_of(get_agent(workspace, "reader")).revision == 1


def test_a_draft_is_saved_and_shown_as_it_was_typed(admin: Client, workspace: Workspace, given: dict[str, Any]) -> None:
    from agents.models import AgentVersion
    from agents.services.drafts import draft_of, get_agent

    assert admin.post(f"{HOME}reader/draft/", given).status_code == 302
    saved = draft_of(get_agent(workspace, "reader"))
    assert saved.definition["instructions"] == "Read on {{ topic }}.\nTell.\n"
    assert saved.definition["fallbacks"] == ["openai:a", "offline"]
    assert saved.definition["caps"] == {"steps": 9}
    assert saved.definition["approvals"] == {"tools": ["web_fetch"]}
    assert saved.definition["sampling"] == {"temperature": 0.5}
    # The form gives back what it was given.
    assert admin.post(f"{HOME}reader/draft/", filled(admin, f"{HOME}reader/draft/")).status_code == 302
    assert draft_of(get_agent(workspace, "reader")).definition == saved.definition
    # Who has not seen that is told, and keeps what they typed; nor do they publish what they have not seen.
    late = admin.post(f"{HOME}reader/draft/", {**given, "description": "Mine."})
    assert late.status_code == 409
    assert "Mine." in late.content.decode()
    assert admin.post(f"{HOME}reader/publish/", {"revision": 1}, follow=True).status_code == 200
    assert not AgentVersion.objects.exists()


def test_what_is_published_is_started_by_the_form_of_its_input(as_: As, publish: Callable[..., None]) -> None:
    from agents.models import Run

    member = as_("member")
    publish("Second <i>", description="Better.")
    assert "Second <i>" in text_of(member, f"{HOME}reader/versions/")
    started = member.post(f"{HOME}reader/start/", {"value-topic": "tides", "value-n": "3"})
    run = Run.objects.get()
    assert started["Location"] == f"/w/team/runs/{run.pk}/"
    assert (run.input, run.agent_version.number if run.agent_version else 0) == ({"topic": "tides", "n": 3}, 2)
    refused = member.post(f"{HOME}reader/start/", {"value-n": "x"}, follow=True)
    assert "topic" in refused.content.decode()
    assert Run.objects.count() == 1


def test_versions_are_compared_pinned_and_taken_back_to(
    as_: As, admin: Client, workspace: Workspace, publish: Callable[..., None]
) -> None:
    from agents.models import AgentVersion, Run
    from agents.services.drafts import get_agent

    member = as_("member")
    changed = {"instructions": "Read on {{ topic }}.\nAsk.\n", "caps__steps": ""}
    admin.post(f"{HOME}reader/draft/", {**filled(admin, f"{HOME}reader/draft/"), **changed})
    difference = text_of(member, f"{HOME}reader/compare/?before=1&after=draft")
    assert "<del>Tell.</del>" in difference
    assert "<ins>Ask.</ins>" in difference
    assert "caps.steps" in difference
    assert "not published" in text_of(member, f"{HOME}reader/")
    publish()
    assert "Nothing differs" in text_of(member, f"{HOME}reader/compare/?before=2&after=draft")
    assert "Tell." in text_of(member, f"{HOME}reader/versions/1/")
    member.post(f"{HOME}reader/start/", {"value-topic": "tides", "version": "1"})
    assert [run.agent_version.number for run in Run.objects.all() if run.agent_version] == [1]
    admin.post(f"{HOME}reader/rollback/", {"version": "1"})
    assert get_agent(workspace, "reader").current == AgentVersion.objects.get(number=1)
    text = member.get(f"{HOME}reader/export/?version=2")
    assert text["Content-Type"].startswith("application/yaml")
    assert "Ask." in text.content.decode()


@pytest.mark.usefixtures("publish")
def test_what_is_put_away_is_not_started(as_: As, admin: Client) -> None:
    from agents.models import Run

    member = as_("member")
    admin.post(f"{HOME}reader/archive/")
    assert "Put away: 1" in text_of(member, HOME)
    member.post(f"{HOME}reader/start/", {"value-topic": "tides"})
    assert not Run.objects.exists()
    admin.post(f"{HOME}reader/unarchive/")
    assert "Put away" not in text_of(member, HOME)
    member.post(f"{HOME}reader/start/", {"value-topic": "tides"})
    assert Run.objects.count() == 1


def test_what_is_not_there_any_more_can_be_seen_and_taken_away(as_: As, workspace: Workspace) -> None:
    from agents.services.drafts import draft_of, get_agent
    from tests.factories import make_agent

    make_agent(workspace, "reader", tools=["gone_tool", "web_fetch"], sub_agents=["nobody"], workflow="gone")
    admin = as_("admin")
    given = {**filled(admin, f"{HOME}reader/draft/"), "description": "x"}
    assert admin.post(f"{HOME}reader/draft/", given).status_code == 302
    page = text_of(admin, f"{HOME}reader/draft/")
    for problem in ("no tool named 'gone_tool'", "no published agent named 'nobody'", "no workflow named 'gone'"):
        assert problem in page
    assert "there is no such tool" in page
    right = {**filled(admin, f"{HOME}reader/draft/"), "tools": ["web_fetch"], "sub_agents": [], "workflow": "react"}
    assert admin.post(f"{HOME}reader/draft/", right).status_code == 302
    assert "Not to be published" not in text_of(admin, f"{HOME}reader/draft/")
    revision = draft_of(get_agent(workspace, "reader")).revision
    admin.post(f"{HOME}reader/draft/discard/", {"revision": revision})
    assert not draft_of(get_agent(workspace, "reader")).is_changed


def test_the_page_says_which_tools_sub_agents_may_not_use_there(as_: As, workspace: Workspace) -> None:
    from tests.factories import make_agent

    make_agent(workspace, "reader", tools=["web_fetch", "search_documents", "wait"])
    make_agent(workspace, "writer")
    make_agent(workspace, "lead", tools=["wait"], sub_agents=["reader", "writer"])
    page = text_of(as_("viewer"), f"{HOME}lead/")
    assert "reader works without search_documents, web_fetch here" in page
    assert "writer works without" not in page


def test_an_agent_is_read_in_after_a_look(as_: As, workspace: Workspace) -> None:
    from agents.models import Agent
    from agents.services.drafts import draft_of, get_agent

    admin = as_("admin")
    yaml = "agentsite: agent/1\nname: reader\ninstructions: |\n  Read <b>.\n  Tell.\n"
    file = SimpleUploadedFile("reader.yaml", yaml.encode())
    looked = unescape(admin.post(f"{HOME}import/", {"file": file}).content.decode())
    assert "<ins>Read &lt;b&gt;.</ins>" not in looked
    assert "<ins>Read <b>.</ins>" in looked
    assert not Agent.objects.exists()
    taken = admin.post(f"{HOME}import/", {"yaml": yaml, "take": "1"})
    assert taken["Location"] == f"{HOME}reader/draft/"
    assert draft_of(get_agent(workspace, "reader")).definition["instructions"] == "Read <b>.\nTell.\n"
    # It is there by now: what would change is shown first.
    again = admin.post(f"{HOME}import/", {"yaml": yaml.replace("Tell", "Ask"), "take": "1"})
    assert again.status_code == 422
    assert re.search(r'name="revision" value="1"', again.content.decode())
    for wrong in ("", "- a", "agentsite: agent/1\nname: x\nmodle: y", "!!python/object:os.system x"):
        assert admin.post(f"{HOME}import/", {"yaml": wrong}).status_code == 422
    assert Agent.objects.count() == 1


def test_the_team_is_drawn(as_: As, workspace: Workspace) -> None:
    from agents.services.agents import ensure_starting_agents

    ensure_starting_agents(workspace)
    viewer = as_("viewer")
    for page in ("", "research-team/", "research-team/versions/1/", "research-team/versions/"):
        text = text_of(viewer, f"{HOME}{page}")
        assert not INLINE.search(text)
    page = text_of(viewer, f"{HOME}research-team/")
    assert "research-team may give work to planner, researcher" in page
    assert "planner plans, then researcher works and scraper works and tool-agent works, then writer writes" in page
    assert f'<a href="{HOME}researcher/"><g class="team-box">' in page
    sheet = text_of(viewer, f"{HOME}question-sheet/")
    assert "answer: researcher, for each; sheet: joins, after answer" in sheet
    # Viewers look, no more.
    for path in ("new/", "import/", "researcher/draft/"):
        assert viewer.get(f"{HOME}{path}").status_code == 403
    assert "<form method" not in page.partition("<main")[2].partition("</main>")[0]


@pytest.mark.fault(35)
def test_an_agent_of_another_workspace_does_not_exist(as_: As, workspace: Workspace) -> None:
    from tests.factories import make_agent, make_workspace

    make_agent(make_workspace(), "theirs")
    admin = as_("admin")
    for path in ("", "draft/", "versions/", "versions/1/", "compare/?before=1&after=1", "export/"):
        assert admin.get(f"{HOME}theirs/{path}").status_code == 404
    for path in ("start/", "draft/", "draft/discard/", "publish/", "rollback/", "archive/", "unarchive/"):
        assert admin.post(f"{HOME}theirs/{path}", {"revision": 1, "version": 1}).status_code == 404
