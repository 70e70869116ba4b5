"""Many pages, each a step of its own, on an in-memory journal."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agents.engine.messages import Citation, Reply, ToolCall, ToolResult
from agents.engine.ports import AgentConfig, CallInfo
from agents.testing import ScriptedModel, ScriptedTools, WorkflowTest
from agents.workflows.react import react
from tools.builtin import web_crawl  # noqa: F401 (registers the tool)

SITE = "http://shop.example"


class Site:
    """Pages 0 to `size - 1`, of which each leads to the next two, to the first, and to another site."""

    def __init__(self, size: int = 30, pause: float = 0.0, text: str = "") -> None:
        self.size, self.pause, self.text = size, pause, text
        self.read: list[str] = []
        self.options: list[dict[str, Any]] = []

    async def scrape(self, arguments: Any, info: CallInfo) -> ToolResult:
        url = arguments["url"]
        self.read.append(url)
        self.options.append({name: value for name, value in arguments.items() if name != "url"})
        number = int(url.rpartition("/")[2])
        if number % 10 == 9:
            return ToolResult("tool", "answered 404", name="web_scrape", ok=False, error="BadResponse")
        page: dict[str, Any] = {"url": url, "title": f"Page {number}", "fields": {"text": [self.text]}}
        page["pause"] = self.pause
        if "follow" in arguments:
            following = [f"{SITE}/{n}" for n in (2 * number + 1, 2 * number + 2, 0) if n < self.size]
            page["following"] = [*following, "http://elsewhere.example/0"]
        cited = (Citation(url, f"Page {number}"),)
        return ToolResult("tool", "a page", name="web_scrape", data=page, citations=cited)


def crawling(site: Site, *times: dict[str, Any], tools: tuple[str, ...] = ("web_crawl", "web_scrape")) -> WorkflowTest:
    replies: list[Reply | str] = [
        Reply("assistant", "", tool_calls=(ToolCall("c", "web_crawl", call),), finish="tool_calls", model="test:m")
        for call in times
    ]
    model = ScriptedModel([*replies, "Done [1]."] * 4)
    agent = AgentConfig("scraper", 1, "", "test:m", tools)
    return WorkflowTest(model=model, tools=ScriptedTools(web_scrape=site.scrape), agent=agent)


def told(test: WorkflowTest) -> str:
    model = test.ports.model
    assert isinstance(model, ScriptedModel)
    return model.requests[-1].messages[-1].text


def test_each_page_of_the_site_is_a_step_and_none_is_read_twice() -> None:
    site = Site()
    test = crawling(site, {"urls": [f"{SITE}/0#top"], "follow": "a", "rows": "li", "max_pages": 500})
    run = test.run(react, "Go.")
    assert run.status == "succeeded", run.error
    # The pages below those that fail are never heard of.
    assert set(Counter(site.read).values()) == {1}
    assert {f"{SITE}/{n}" for n in range(19)} <= set(site.read)
    assert not any("elsewhere" in url for url in site.read)
    assert all(options == {"rows": "li", "follow": "a"} for options in site.options)
    steps = [step for key, step in run.steps.items() if "tool:web_scrape" in key]
    assert len(steps) == len(site.read)
    assert f"[Not read: {SITE}/9: answered 404]" in told(test)
    assert run.output["citations"][0]["source"] == f"{SITE}/0"


def test_a_crash_at_any_moment_reads_nothing_again_that_is_recorded() -> None:
    for crash_after in range(2, 9):
        site = Site(12)
        test = crawling(site, {"urls": [f"{SITE}/0", f"{SITE}/5"], "follow": "a", "max_pages": 20})
        run = test.run(react, "Go.", crash_after=crash_after)
        assert run.status == "succeeded", (crash_after, run.error)
        assert len([key for key in run.steps if "tool:web_scrape" in key]) == 12
        # Only what was under way when the worker died is read again.
        assert len(site.read) - len(set(site.read)) <= 3


def test_no_more_pages_are_read_than_were_asked_for() -> None:
    site = Site(400)
    test = crawling(site, {"urls": [f"{SITE}/0"], "follow": "a", "max_pages": 7})
    assert test.run(react, "Go.").status == "succeeded"
    assert site.read == [f"{SITE}/{n}" for n in range(7)]
    assert "[8 more pages were found and not read.]" in told(test)


def test_a_site_that_wants_a_pause_gets_one_between_two_pages() -> None:
    site = Site(pause=5.0)
    test = crawling(site, {"urls": [f"{SITE}/{n}" for n in range(4)]})
    began = test.clock.now()
    run = test.run(react, "Go.")
    assert site.read == [f"{SITE}/{n}" for n in range(4)]
    assert (test.clock.now() - began).total_seconds() >= 15
    assert sum(step.kind == "sleep" for step in run.steps.values()) == 3


def test_what_does_not_fit_before_the_eyes_of_a_model_is_a_file() -> None:
    site = Site(60, text="long " * 200)
    test = crawling(site, {"urls": [f"{SITE}/0"], "follow": "a", "max_pages": 60})
    run = test.run(react, "Go.")
    kept = [key.removeprefix("gather#0/0/artifact:").removesuffix("#0") for key in run.steps if "artifact:" in key]
    assert len(kept) == 1
    assert f"{kept[0]} holds all of them" in told(test)


@pytest.mark.parametrize(
    ("call", "tools", "said"),
    [
        ({"urls": []}, ("web_crawl", "web_scrape"), "urls: List should have at least 1 item"),
        ({"urls": [f"{SITE}/9"]}, ("web_crawl", "web_scrape"), f"{SITE}/9: answered 404"),
        ({"urls": [f"{SITE}/0"]}, ("web_crawl",), "may not use the tool 'web_scrape'"),
    ],
)
def test_what_can_not_be_read_is_told_to_the_model(call: dict[str, Any], tools: tuple[str, ...], said: str) -> None:
    test = crawling(Site(), call, tools=tools)
    assert test.run(react, "Go.").status == "succeeded"
    assert said in told(test)
