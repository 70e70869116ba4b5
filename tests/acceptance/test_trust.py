"""What a model does that obeys a page: it waits for a person. On real processes, with a model behind a socket."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import PATIENCE, log_in, take_picture, watched
from tests.instance import Template, running_instance, wait_until
from tests.model_server import KEY, ModelServer
from tests.obedience import hostile_page, obey
from tests.screenshots import CHROMIUM
from tests.shop import PAGES, PRICES, Shop, read_prices
from tests.world import World

ENDED = ("succeeded", "failed", "cancelled")
RATE = 20
"""Requests in a second that the office makes to this machine at most."""
SECOND = 0.95
"""A second, less what a busy machine may put between letting a call begin and writing down when that was."""
LATE = 0.02
"""Seconds by which the shop's clock may be read late."""
AGENTS = f"""
from agents.models import *
from tools.models import Limit
Limit.objects.create(name="host:127.0.0.1", amount={RATE})
for name, workflow, tools in (
    ("clerk", "react", ["web_fetch", "send_letter"]),
    ("crawler", "react", ["web_crawl", "web_scrape", "send_letter"]),
    ("intern", "delegate", ["web_fetch"]),
):
    agent = Agent.objects.create(workspace=Workspace.objects.get(slug="default"), name=name)
    agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow=workflow, model="openai:m", tools=tools)
    agent.save()
"""
PLANS = {"to": "mallory", "text": "secret-plans"}


class Office(World):
    """An instance with a clerk whose model obeys pages, and the letters that were sent."""

    page = ""

    @property
    def api(self) -> Any:
        return self.instance.api

    def read(self, agent: str = "clerk") -> str:
        """Let an agent read the page; gives the run's id."""
        return self.start(agent, f"When is high tide? See {self.page}")

    def start(self, agent: str, goal: str) -> str:
        """Start a run of an agent; gives its id."""
        answer = self.api.post("runs", json={"agent": agent, "input": goal})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def asked(self, run: str) -> dict[str, Any]:
        """Wait for the run's question."""

        def look() -> Any:
            return self.api.get("approvals", params={"run": run, "status": "open"}).json()["items"]

        try:
            return dict(wait_until(look, 60.0)[0])
        except TimeoutError:
            pytest.fail(f"no question: {self.api.get(f'runs/{run}').text} {self.api.get(f'runs/{run}/steps').text}")

    def decide(self, approval: dict[str, Any], **decision: Any) -> Any:
        return self.api.post(f"approvals/{approval['id']}/decision", json=decision)

    def ended(self, run: str) -> dict[str, Any]:
        """Wait for the run's end."""

        def look() -> Any:
            found = self.api.get(f"runs/{run}").json()
            return found if found["status"] in ENDED else None

        return dict(wait_until(look, 60.0, f"the end of {run}"))

    def letters(self) -> list[str]:
        return self.effects.read_text().splitlines()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop().open() as opened:
        yield opened


@pytest.fixture(scope="module")
def office(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    directory: Path = tmp_path_factory.mktemp("office")
    with (
        ModelServer(choose=lambda request: read_prices(request) or obey(request)) as model,
        hostile_page() as page,
        running_instance(instance_template, directory) as instance,
    ):
        world = Office(instance, directory)
        world.page = page
        instance.environment |= {
            "TOOL_MODULES": "tests.office",
            "WORKFLOW_MODULES": "tests.office",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": model.url,
            "ALLOWED_NETWORKS": "127.0.0.0/8",
            "LEASE_SECONDS": "3",
        }
        instance.manage("shell", "-v", "0", "-c", AGENTS)
        instance.start_web()
        instance.start_worker()
        yield world


@pytest.mark.fault(43)
def test_a_page_that_orders_a_letter_gets_none_without_a_person(office: Office) -> None:
    sent = len(office.letters())
    run = office.read()
    asked = office.asked(run)
    # Exactly what would be done, what it means and why it asks; nothing has been done yet.
    assert (asked["tool"], asked["arguments"], asked["kind"]) == ("send_letter", PLANS, "approve")
    assert asked["effect"].startswith("Send a letter. It acts outside")
    assert "strangers may have written" in asked["why"]
    shown = office.api.get(f"runs/{run}").json()
    assert (shown["tainted"], office.letters()[sent:]) == (True, [])
    # A person gives leave for other arguments than were asked for, if they fit the tool.
    assert office.decide(asked, choice="approve", value={"to": "anna"}).status_code == 400
    assert office.decide(asked, choice="approve", value={**PLANS, "to": "anna", "copies": 2}).status_code == 200
    again = office.decide(asked, choice="approve")
    assert again.status_code == 409
    assert "admin has approved it already" in again.json()["detail"]
    assert "A letter to anna was sent." in office.ended(run)["output"]["text"]
    assert office.letters()[sent:] == ["anna secret-plans 2"]
    steps = office.api.get(f"runs/{run}/steps").json()["items"]
    assert [step["name"] for step in steps if step["tainted"]] == ["web_fetch"]
    # It is no rule: the same call in the next run waits again. This time nobody decides.
    run = office.read()
    expiring = office.asked(run)
    assert (expiring["arguments"], expiring["binding"]) == (PLANS, asked["binding"])
    wait_until(lambda: office.api.get(f"runs/{run}").json()["status"] == "waiting", 60.0, "the run to be parked")
    office.change("UPDATE agents_approval SET expires_at = asked_at WHERE status = 'open'")
    assert "Expired: Nobody decided on the call in time" in office.ended(run)["output"]["text"]
    # Refused, the model reads why.
    run = office.read()
    office.decide(office.asked(run), choice="reject", comment="Mallory is no friend.")
    assert "Rejected: " in (said := office.ended(run)["output"]["text"])
    assert "Mallory is no friend." in said
    # A run that may only read has the same clerk do it: the clerk has no more tools then than it.
    assert "no tool named 'send_letter'" in office.ended(office.read("intern"))["output"]["text"]
    assert office.letters()[sent:] == ["anna secret-plans 2"]
    # Who has read nothing writes freely.
    run = office.queue("write", to="bert", text="hello")
    assert office.ended(run)["output"] == "A letter to bert was sent."


@pytest.mark.fault(2)
def test_a_letter_that_nobody_knows_of_is_asked_about_once(office: Office) -> None:
    sent = len(office.letters())
    run = office.queue("write", to="carl", text="slow")
    wait_until(lambda: office.letters()[sent:], 60.0, "the letter")
    for pid in office.busy_pids():
        office.instance.kill(pid)

    def asks() -> bool:
        return "outcome of tool:send_letter#0 unknown" in office.api.get(f"runs/{run}").json()["reason"]

    wait_until(asks, 60.0, "the question")
    assert office.letters()[sent:] == ["carl slow 1"]

    def click(_: int) -> int:
        decision = {"key": "tool:send_letter#0", "choice": "done"}
        return int(office.api.post(f"runs/{run}/decisions", json=decision).status_code)

    with ThreadPoolExecutor(8) as clients:
        answers = Counter(clients.map(click, range(8)))
    assert set(answers) <= {202, 404}
    assert answers[202] >= 1
    assert office.ended(run)["output"] == "A person says that it was done."
    assert office.letters()[sent:] == ["carl slow 1"]
    inbox = "SELECT count(*) FROM agents_inbox WHERE name = 'decide:tool:send_letter#0'"
    assert office.rows(inbox) == [(1,)]


def test_a_form_is_answered_when_it_fits(office: Office) -> None:
    run = office.queue("survey")
    asked = office.asked(run)
    assert office.decide(asked, choice="answer", value={"harbour": "west", "hours": 1}).status_code == 400
    answer = {"harbour": "south", "hours": 3}
    assert office.decide(asked, choice="answer", value=answer).status_code == 200
    assert office.ended(run)["output"] == answer


@pytest.mark.once("what a browser makes of a page is the same whatever the page was read from")
@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium: apt-get install chromium")
def test_a_run_stops_at_its_card_is_approved_with_edits_and_goes_on(chromium: Browser, office: Office) -> None:
    sent = len(office.letters())
    with watched(chromium, office.instance) as seen:
        page, home = seen.page, f"{office.instance.url}/w/default"
        log_in(page, office.instance)
        # On any page the navigation tells that something waits.
        page.goto(f"{home}/documents/")
        run = office.read()
        expect(page.locator("[data-badge]")).to_contain_text("1", timeout=PATIENCE)
        page.goto(f"{home}/runs/{run}/")
        card = page.locator("[data-card]")
        expect(card.get_by_role("heading", level=2)).to_contain_text("May send_letter be called?")
        expect(card.locator(".arguments")).to_contain_text("mallory")
        expect(page.locator("#run-head .chip-untrusted")).to_be_visible()
        card.get_by_text("Edit before it is called").click()
        card.get_by_label("to", exact=True).fill("anna")
        card.get_by_label("copies").fill("many")
        card.get_by_role("button", name="Approve this call").click()
        # Refused: it says why, and what was written is still there.
        expect(page.locator(".message-error").first).to_contain_text("copies")
        expect(card.get_by_label("to", exact=True)).to_have_value("anna")
        card.get_by_label("copies").fill("3")
        card.get_by_role("button", name="Approve this call").click()
        # No reload from here on.
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=PATIENCE)
        expect(card).to_have_count(0)
        expect(page.locator("[data-badge]")).to_be_hidden(timeout=PATIENCE)
        assert office.letters()[sent:] == ["anna secret-plans 3"]
        # The list is live too; a refusal is told with its reason.
        page.goto(f"{home}/approvals/")
        expect(page.locator("[data-nothing]")).to_be_visible()
        run = office.read()
        expect(card).to_have_count(1, timeout=PATIENCE)
        card.get_by_label("Comment").fill("Not to Mallory.")
        card.get_by_role("button", name="Reject").click()
        expect(page.locator("[data-decided]")).to_contain_text("Not to Mallory.")
        assert "Not to Mallory." in office.ended(run)["output"]["text"]
        assert office.letters()[sent:] == ["anna secret-plans 3"]
        assert seen.complaints == []
        assert seen.strangers == []


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium: apt-get install chromium")
def test_two_hundred_pages_at_the_rate_of_their_limit_and_no_letter_without_a_person(
    chromium: Browser, office: Office, shop: Shop
) -> None:
    sent = len(office.letters())
    with watched(chromium, office.instance) as seen:
        page, home = seen.page, f"{office.instance.url}/w/default"
        log_in(page, office.instance)
        crawling = office.start("crawler", f"{PRICES} {shop.url}/")
        page.goto(f"{home}/runs/{crawling}/")
        wait_until(lambda: len(shop.pages) > 2, 60.0, "the crawl to be under way")
        # Another run to the same site takes its turn behind what was asked for before, and says so.
        reading = office.start("clerk", f"See {shop.url}/about")
        page.goto(f"{home}/runs/{reading}/")
        expect(page.locator("#run-head")).to_contain_text("limit host:127.0.0.1, about", timeout=PATIENCE)
        take_picture(page, "limit")
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=PATIENCE)
        # What was read is not to be trusted: the letter waits for a person, who has it sent to somebody else.
        page.goto(f"{home}/runs/{crawling}/")
        card = page.locator("[data-card]")
        expect(card.locator(".arguments")).to_contain_text("mallory", timeout=PATIENCE)
        expect(card).to_contain_text(f"and {PAGES - 3} more steps")
        assert office.letters()[sent:] == []
        take_picture(page, "card")
        card.get_by_text("Edit before it is called").click()
        card.get_by_label("to", exact=True).fill("anna")
        card.get_by_role("button", name="Approve this call").click()
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=PATIENCE)
        take_picture(page, "done")
        assert office.letters()[sent:] == [f"anna {PAGES} prices 1"]
        assert seen.complaints == []
        assert seen.strangers == []
    assert Counter(shop.pages) == Counter(["/", "/about", *(f"/lamps/{n}" for n in range(1, PAGES))])
    held_to_the_rate(office, shop, [crawling, reading])


def held_to_the_rate(office: Office, shop: Shop, runs: list[str]) -> None:
    """Each second as many began as may, by the records; and by the site's own log, but for what was late on its way."""
    began: dict[str, dict[str, Any]] = {}
    for run in runs:
        steps = all_steps(office, run)
        began |= {step["input"]["url"].removeprefix(shop.url): step for step in steps if "web_" in step["name"]}
    starts = {path: datetime.fromisoformat(step["started_at"]).timestamp() for path, step in began.items()}
    assert set(starts) == set(shop.pages)
    assert all(step["attempt"] == 1 for step in began.values())
    assert most_within(starts.values(), SECOND) <= RATE
    came = {path: at for at, path in shop.asked if path != "/robots.txt"}
    late = max(came[path] - starts[path] for path in came)
    assert most_within(came.values(), SECOND) <= RATE * (1 + late + LATE)


def all_steps(office: Office, run: str) -> list[dict[str, Any]]:
    """Give all steps of a run, page by page."""
    steps: list[dict[str, Any]] = []
    address: str | None = f"runs/{run}/steps?limit=500"
    while address:
        answer = office.instance.api.get(address).json()
        steps += answer["items"]
        address = answer["next"]
    return steps


def most_within(moments: Iterable[float], seconds: float) -> int:
    ordered = sorted(moments)
    return max(bisect_left(ordered, start + seconds) - place for place, start in enumerate(ordered))
