"""A person at a real browser: logs in by the link, starts a goal, watches it, stops another, loses the connection."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import BROWSER, PATIENCE, log_in, take_picture, watched
from tests.instance import Instance

pytestmark = BROWSER
ONCE = pytest.mark.once("what a browser makes of a page is the same whatever the page was read from")
SAMPLE = "What happens when a worker dies"
LINK = (
    "from agents.models import User; from agents.services.access import create_login_link;"
    "print(create_login_link(User.objects.get(username='admin')))"
)


def test_a_goal_from_the_link_to_the_cited_answer(chromium: Browser, shared_instance: Instance) -> None:
    token = shared_instance.manage("shell", "-v", "0", "-c", LINK).split()[-1]
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        page.goto(f"{shared_instance.url}/welcome/{token}")
        expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
        page.click("text=Not now")
        page.locator(".sample", has_text=SAMPLE).click()
        page.wait_for_url("**/runs/*/")
        # No reload from here on: what appears was pushed.
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".prose")).to_contain_text("lease", timeout=PATIENCE)
        expect(page.locator("[data-tracks] > li").first).to_be_visible()
        assert page.locator(".quotes blockquote").count() >= 1
        page.locator(".prose sup a").first.click()
        expect(page.locator("#run-pane h2")).to_contain_text("search_documents")
        page.go_back()
        expect(page.locator(".prose")).to_be_visible()
        page.locator(".source-title a").first.click()
        page.wait_for_url("**/documents/*/")
        assert seen.complaints == []
        assert seen.strangers == []


@ONCE
def test_a_tool_result_is_edited_and_the_fork_compared(chromium: Browser, shared_instance: Instance) -> None:
    run = shared_instance.api.post("runs", json={"agent": "tool-agent", "input": "Calculate 6 * 7."}).json()["id"]
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.goto(f"{shared_instance.url}/w/default/runs/{run}/")
        expect(page.locator(".prose")).to_contain_text("42", timeout=PATIENCE)
        page.locator("[data-tracks] > li", has_text="calculate").click()
        page.click("#run-pane >> text=Edit and fork")
        expect(page.locator(".said-first")).to_contain_text("think")
        take_picture(page, "fork")
        page.fill("#written", "6 * 7 = 43")
        page.click("text=Fork with this")
        page.wait_for_url(lambda address: "/fork/" not in address and run not in address)
        # What comes after the edited result came out anew, without a reload.
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".prose")).to_contain_text("43")
        page.locator("[data-tracks] > li", has_text="calculate").click()
        expect(page.locator("#run-pane")).to_contain_text("Edited by admin at the fork")
        take_picture(page, "forked")
        page.click("#run-head >> text=Compare")
        expect(page.locator("[data-state=same]").first).to_contain_text("think")
        changed = page.locator("[data-state=changed]")
        expect(changed).to_have_count(2)
        expect(changed.first.locator("ins").first).to_contain_text("43")
        expect(changed.first.locator("del").first).to_contain_text("42")
        take_picture(page, "compare")
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        page.click(".compared >> nth=0 >> a")
        expect(page.locator("#run-head")).to_contain_text("Forks")
        assert seen.complaints == []
        assert seen.strangers == []


def test_a_conversation_goes_on(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.click("nav >> text=Threads")
        page.select_option("#agent", "tool-agent")
        page.fill("#title", "Sums")
        page.fill("#text", "Calculate 6 * 7.")
        take_picture(page, "threads")
        page.click("text=Begin")
        # No reload: the page looks by itself as long as something is at work.
        expect(page.locator("#message-1 .prose")).to_contain_text("42", timeout=PATIENCE)
        page.fill("#text", "Calculate 2 + 3.")
        page.click("text=Send")
        expect(page.locator("#message-2 .prose")).to_contain_text("5", timeout=PATIENCE)
        take_picture(page, "thread")
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        page.click("#message-2 >> text=tool-agent@1")
        expect(page.locator("#run-head")).to_contain_text("Calculate 2 + 3.")
        assert seen.complaints == []
        assert seen.strangers == []


@ONCE
def test_an_agent_is_edited_published_and_compared(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.click("nav >> text=Agents")
        page.click("text=New agent")
        page.fill("#id_name", "reader")
        page.click("text=Go on")
        page.fill("#id_instructions", "Read.\nTell what you have read.")
        page.check("input[name=tools][value=calculate]")
        page.click("text=Save draft")
        page.fill("#note", "The first")
        page.click("text=Publish >> nth=-1")
        expect(page.locator(".agent-state")).to_contain_text("version 1")
        page.click("text=Edit")
        page.fill("#id_instructions", "Read.\nAsk what you have not read.")
        page.click("text=Save draft")
        expect(page.locator(".agent-publish ins")).to_have_text("Ask what you have not read.")
        take_picture(page, "draft")
        page.click("button:has-text('Publish')")
        page.click("text=version 2")
        page.click("button:has-text('Compare')")
        expect(page.locator(".diff ins")).to_have_text("Ask what you have not read.")
        expect(page.locator(".diff del")).to_have_text("Tell what you have read.")
        page.go_back()
        take_picture(page, "versions")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("text=Make current")
        expect(page.locator(".messages")).to_contain_text("New runs get version 1 again")
        page.goto(f"{shared_instance.url}/w/default/agents/research-team/")
        take_picture(page, "agent")
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert seen.complaints == []
        assert seen.strangers == []


@ONCE
def test_a_run_is_stopped_and_paused(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.fill("#goal", "Wait 50 seconds.")
        page.locator(".agent", has_text="tool-agent").click()
        page.click("text=Start")
        page.wait_for_url("**/runs/*/")
        page.click("#run-head >> text=Pause")
        expect(page.locator("#run-head .state-paused")).to_be_visible(timeout=PATIENCE)
        page.click("#run-head >> text=Resume")
        expect(page.locator("#run-head .state-paused")).to_be_hidden(timeout=PATIENCE)
        page.click("#run-head >> text=Cancel")
        expect(page.locator("#run-head .state-cancelled")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".stop-path .done")).to_have_count(3)
        expect(page.locator("[data-controls]")).to_contain_text("Start again")
        assert seen.complaints == []


@ONCE
def test_new_runs_gather_until_they_are_asked_for(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.goto(f"{shared_instance.url}/w/default/runs/")
        before = page.locator("tr[data-run]").count()
        made = shared_instance.api.post("runs", json={"agent": "tool-agent", "input": "Calculate 6 * 7."})
        assert made.status_code == 202
        if before:
            expect(page.locator("[data-new-rows]")).to_have_text("1 new")
            page.click("[data-new-rows]")
        else:
            page.reload()
        row = page.locator(f"#run-{made.json()['id']}")
        expect(row.locator(".state-succeeded")).to_be_visible(timeout=PATIENCE)
        page.select_option("#filter-status", "failed")
        page.wait_for_url("**status=failed**")
        expect(row).to_have_count(0)
        assert seen.complaints == []


def test_a_lost_connection_is_said_and_healed(chromium: Browser, instance: Instance) -> None:
    web = instance.start_web()
    run = instance.api.post("runs", json={"agent": "tool-agent", "input": "Calculate 6 * 7."}).json()["id"]
    with watched(chromium, instance) as seen:
        page = seen.page
        log_in(page, instance)
        page.goto(f"{instance.url}/w/default/runs/{run}/")
        expect(page.locator("#run-head .state-queued")).to_be_visible()
        web.stop()
        expect(page.locator("[data-stale]")).to_be_visible(timeout=PATIENCE)
        instance.start_web()
        instance.start_worker()
        expect(page.locator("#run-head .state-succeeded")).to_be_visible(timeout=60_000)
        expect(page.locator("[data-stale]")).to_be_hidden()


@ONCE
def test_the_administration_is_live_and_breaks_no_policy(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        run = shared_instance.api.post("runs", json={"agent": "tool-agent", "input": "Wait 3 seconds."}).json()["id"]
        page.goto(f"{shared_instance.url}/admin/agents/run/{run}/change/")
        expect(page.locator("#run-live .state-succeeded")).to_be_visible(timeout=PATIENCE)
        for path in ("", "agents/run/", "agents/step/", "agents/user/add/", "agents/workspace/1/change/"):
            page.goto(f"{shared_instance.url}/admin/{path}")
        assert seen.complaints == []
        assert seen.strangers == []


@ONCE
def test_keys_and_themes(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance, color_scheme="light") as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.locator("h1").first.click()
        page.keyboard.press("/")
        expect(page.locator("#bar-search")).to_be_focused()
        page.keyboard.press("Escape")
        page.locator("h1").first.click()
        page.keyboard.press("?")
        expect(page.locator("#shortcuts")).to_be_visible()
        page.keyboard.press("Escape")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("[data-theme-toggle]")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert seen.complaints == []


@ONCE
def test_a_schedule_is_made_and_run_now(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.goto(f"{shared_instance.url}/w/default/new-schedule/")
        page.fill("[name=name]", "sums")
        # Before anything is saved the next five times are there, and follow what is said.
        page.fill("[name=cron]", "0 9 * * MON")
        expect(page.locator("#preview")).to_contain_text("at 09:00 on Monday")
        expect(page.locator("#preview tbody tr")).to_have_count(5)
        page.fill("[name=cron]", "0 9 * *")
        expect(page.locator("#preview .error")).to_contain_text("five fields")
        page.get_by_label("Again and again").check()
        expect(page.locator("[name=cron]")).to_be_hidden()
        page.fill("[name=every]", "2")
        expect(page.locator("#preview")).to_contain_text("every 2 hours")
        page.select_option("[name=agent]", "tool-agent")
        page.fill("[name=input]", "Calculate 6 * 7.")
        take_picture(page, "schedule-editor")
        page.click("text=Make schedule")
        page.wait_for_url("**/schedules/sums/")
        page.click("text=Run now")
        # The run appears without a reload, once.
        expect(page.locator("#told .state-succeeded", has_text="Succeeded")).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#told tbody tr")).to_have_count(1)
        take_picture(page, "schedule")
        page.set_viewport_size({"width": 320, "height": 800})
        for path in ("schedules/", "schedules/sums/", "schedules/sums/edit/", "watchers/", "new-watcher/?kind=url"):
            page.goto(f"{shared_instance.url}/w/default/{path}")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, path
        assert seen.complaints == []


@ONCE
@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_scrolls_sideways(chromium: Browser, shared_instance: Instance, width: int) -> None:
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        page.set_viewport_size({"width": width, "height": 800})
        log_in(page, shared_instance)
        run = shared_instance.api.post("runs", json={"agent": "researcher", "input": "What is WAL?"}).json()["id"]
        documents = ("documents/", "documents/add/")
        for path in ("", "runs/", f"runs/{run}/", "approvals/", *documents, "workers/", "settings/tokens/"):
            page.goto(f"{shared_instance.url}/w/default/{path}")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, path


@ONCE
def test_pages_work_without_scripts(chromium: Browser, shared_instance: Instance) -> None:
    with watched(chromium, shared_instance, java_script_enabled=False) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.fill("#goal", "Wait 40 seconds.")
        page.check("input[value=tool-agent]", force=True)
        page.click("text=Start")
        page.wait_for_url("**/runs/*/")
        page.click("#run-head >> text=Cancel")
        for _ in range(40):
            if page.locator("#run-head .state-cancelled").count():
                break
            page.wait_for_timeout(250)
            page.reload()
        expect(page.locator("#run-head .state-cancelled")).to_be_visible()
