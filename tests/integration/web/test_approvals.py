"""The cards of questions, the list, and what their forms decide."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Inbox, Role, Run, Scope, Step, Wait
from agents.services.policies import approval_policy
from tests.factories import make_approval, make_client, make_run, make_token, make_user, make_workspace
from tools.approving import Policy

pytestmark = pytest.mark.django_db

FORM = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "description": "An address."},
        "copies": {"type": "integer", "maximum": 9},
        "signed": {"type": "boolean"},
        "paper": {"enum": ["white", "grey"]},
        "extra": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["to"],
    "additionalProperties": False,
}
LETTER = {"to": "anna@example.org", "copies": 2, "signed": True, "paper": "grey", "extra": ["map"]}


@pytest.fixture
def run() -> Run:
    return make_run(make_workspace("team"), tainted=True)


@pytest.fixture
def member(run: Run) -> Client:
    client = Client()
    client.force_login(make_user(run.workspace, username="mary"))
    return client


def fields(page: str) -> dict[str, str]:
    """Give what a browser would send of the page's card, as it stands."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page[page.index('class="approval"') :]):
        name = re.search(r'name="([^"]*)"', tag)
        if name is None or (" checked" not in tag and "checkbox" in tag):
            continue
        value = re.search(r'value="([^"]*)"', tag)
        found[name[1]] = value[1] if value else "on"
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', page, re.DOTALL):
        found[name] = text.replace("&quot;", '"')
    return {name: value for name, value in found.items() if name != "csrfmiddlewaretoken"}


def test_a_call_is_approved_as_it_is_or_as_it_was_edited(run: Run, member: Client) -> None:
    Step.objects.create(
        run=run,
        key="tool:read#0",
        kind="tool",
        name="read",
        status="succeeded",
        started_at=run.created_at,
        tainted=True,
    )
    for edits, decision in (({}, None), ({"value-to": "bert", "value-copies": "3", "value-extra": ""}, "edited")):
        approval = make_approval(run, form=FORM, arguments=LETTER, tool="send_letter", why="It is tainted.")
        page = member.get(f"/w/team/runs/{run.pk}/").content.decode()
        assert "May send be called?" in page
        assert "It is tainted." in page
        assert 'href="?step=tool%3Aread%230"' in page
        assert "has read untrusted content" in page
        answer = member.post(f"/w/team/approvals/{approval.pk}/decide/", {**fields(page), **edits, "choice": "approve"})
        assert answer.status_code == 302
        approval.refresh_from_db()
        assert approval.decided_by is not None
        assert (approval.status, approval.decided_by.username) == ("approved", "mary")
        assert approval.decision == (decision and {"to": "bert", "copies": 3, "signed": True, "paper": "grey"})
    assert Inbox.objects.count() == 2


@pytest.mark.parametrize(
    ("edits", "complaint"),
    [({"value-copies": "10"}, "$.copies: 10 is greater"), ({"value-to": "", "value-copies": "10"}, "$.copies: 10"),
     ({"value-copies": "x"}, "$.copies: &#x27;x&#x27; is not of type")],
)  # fmt: skip
def test_what_does_not_fit_the_form_is_refused(run: Run, member: Client, edits: dict[str, str], complaint: str) -> None:
    approval = make_approval(run, form=FORM, arguments={"to": "anna"})
    filled = {"value-to": "anna", "choice": "approve", **edits}
    page = member.post(
        f"/w/team/approvals/{approval.pk}/decide/", filled, headers={"X-Requested-With": "fetch"}, follow=True
    )
    assert complaint in page.content.decode()
    approval.refresh_from_db()
    assert approval.status == "open"


def test_questions_are_answered_and_refused(run: Run, member: Client) -> None:
    colour = make_approval(run, kind="ask", subject="Which colour?", form={"enum": ["red", 7]}, arguments=None)
    trip = make_approval(run, kind="ask", subject="Where to?", form=FORM, arguments=None)
    listed = member.get("/w/team/approvals/").content.decode()
    assert "Which colour?" in listed
    assert "Where to?" in listed
    member.post(f"/w/team/approvals/{colour.pk}/decide/", {"choice": "answer", "value": "7"})
    member.post(f"/w/team/approvals/{trip.pk}/decide/", {"choice": "reject", "comment": "Home."})
    colour.refresh_from_db()
    trip.refresh_from_db()
    assert (colour.status, colour.decision) == ("answered", 7)
    assert (trip.status, trip.comment) == ("rejected", "Home.")
    listed = member.get("/w/team/approvals/").content.decode()
    assert "Nothing waits for you" in listed
    assert "Home." in listed


def test_a_crowd_is_told_of_in_few_words(run: Run, member: Client) -> None:
    now = timezone.now()
    read = {"kind": "tool", "name": "web_scrape", "status": "succeeded", "started_at": now, "tainted": True}
    Step.objects.bulk_create(Step(run=run, key=f"map#0/{n}/tool:web_scrape#0", **read) for n in range(50))
    Wait.objects.bulk_create(
        Wait(run=run, kind="slot", key=f"map#0/{n}/tool:web_scrape#0", name="host:x.example", due_at=now)
        for n in range(60)
    )
    Wait.objects.create(run=run, kind="unknown", key="decide:tool:send#0", name="tool:send#0")
    make_approval(run, tool="send", why="Strangers.")
    page = member.get(f"/w/team/runs/{run.id}/").content.decode()
    assert "and 47 more steps." in page
    assert page.count("<code>host:x.example</code>") == 1
    assert "Limit <code>host:x.example</code>" in page
    assert "outcome unknown" in page.lower()


def test_the_second_is_told_who_was_first(run: Run, member: Client) -> None:
    approval = make_approval(run)
    path = f"/w/team/approvals/{approval.pk}/decide/"
    member.post(path, {"choice": "reject"})
    page = member.post(path, {"choice": "approve"}, headers={"X-Requested-With": "fetch"}, follow=True)
    assert "mary has rejected it already" in page.content.decode()


def test_the_list_and_the_badge_are_of_the_workspace_and_of_runs_that_go_on(run: Run, member: Client) -> None:
    make_approval(run, subject="mine")
    make_approval(make_run(run.workspace, status="succeeded"), subject="over")
    other = make_approval(make_run(), subject="theirs")
    page = member.get("/w/team/approvals/").content.decode()
    assert [name in page for name in ("May", "mine?", "over?", "theirs?")] == [False, True, False, False]
    assert "data-badge><span>1</span>" in page
    assert member.post(f"/w/team/approvals/{other.pk}/decide/", {"choice": "approve"}).status_code == 404
    viewer = Client()
    viewer.force_login(make_user(run.workspace, Role.VIEWER))
    seen = viewer.get("/w/team/approvals/").content.decode()
    assert "A member of the workspace can decide this." in seen
    assert 'name="choice"' not in seen


def test_the_form_about_a_step_whose_outcome_is_unknown_names_the_step(run: Run, member: Client) -> None:
    Wait.objects.create(run=run, kind="unknown", key="decide:pay#0", name="pay#0")
    page = member.get(f"/w/team/runs/{run.pk}/").content.decode()
    key = re.search(r'name="key" value="([^"]*)"', page)
    assert key is not None
    form: dict[str, Any] = {"key": key[1], "choice": "done"}
    assert member.post(f"/w/team/runs/{run.pk}/decide/", form).status_code == 302
    assert Inbox.objects.get().name == "decide:pay#0"


def test_administrators_say_what_waits(run: Run, member: Client) -> None:
    space, admin = run.workspace, Client()
    person = make_user(space, Role.ADMIN)
    admin.force_login(person)
    assert "What waits" in admin.get("/w/team/approvals/").content.decode()
    assert "What waits" not in member.get("/w/team/approvals/").content.decode()
    wanted = {"policy": "always", "hours": "5"}
    assert member.post("/w/team/approvals/policy/", wanted).status_code == 403
    for bad in ({**wanted, "policy": "sometimes"}, {**wanted, "hours": "0"}, {**wanted, "hours": "9" * 30}):
        assert admin.post("/w/team/approvals/policy/", bad).status_code == 302
    assert approval_policy(space.pk) == Policy("when_tainted", 72 * 3600.0)
    admin.post("/w/team/approvals/policy/", wanted)
    assert approval_policy(space.pk) == Policy("always", 5 * 3600.0)
    api = make_client(make_token(space, person, scopes=[Scope.READ, Scope.ADMIN]))
    assert api.get("/api/v1/approvals/policy").json() == {"policy": "always", "hours": 5}
    for body, status in (
        ({"policy": "declared", "hours": 7}, 200),
        ({"policy": "declared"}, 400),
        ({"policy": "declared", "hours": 10**6}, 400),
        ({"policy": "x", "hours": 7}, 400),
    ):
        assert api.put("/api/v1/approvals/policy", body, content_type="application/json").status_code == status
    assert approval_policy(space.pk) == Policy("declared", 7 * 3600.0)
    writer = make_client(make_token(space))
    answer = writer.put("/api/v1/approvals/policy", {"policy": "always", "hours": 1}, content_type="application/json")
    assert answer.status_code == 403
