"""A person at a real browser: from a webhook to the run that it wakes, and the delivery log that replays it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import BROWSER, PATIENCE, log_in, take_picture, watched
from tests.instance import Instance

pytestmark = BROWSER


@pytest.fixture
def address(shared_instance: Instance) -> str:
    """The address of a source of webhooks."""
    token = shared_instance.token(scopes=("read", "write", "admin"))
    with shared_instance.client(token) as api:
        source = {"name": "till", "scheme": "none", "event_name": "till.{type}", "type_from": "body:type"}
        made = api.post("webhooks/sources", json=source)
    assert made.status_code == 201, made.text
    return str(made.json()["url"])


def arrives(address: str, total: int) -> None:
    """Send a webhook as a shop's till would."""
    sent = httpx.post(address, json={"type": "paid", "total": total}, trust_env=False, timeout=20.0)
    assert sent.status_code == 202, sent.text


def doubled(instance: Instance) -> list[Any]:
    """The inputs of the runs that double something."""
    runs = instance.api.get("runs", params={"agent": "tool-agent", "q": "* 2."}).json()["items"]
    return [instance.api.get(f"runs/{run['id']}").json()["input"] for run in runs]


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def subscribe_to_its_like(page: Page) -> None:
    """Subscribe to what has come; the draft says what it would have done."""
    page.click("text=Subscribe to its like")
    page.fill("#id_name", "doubles")
    page.fill("#id_filter", '{"path": "total", "gt": 10')
    page.select_option("#id_agent", "tool-agent")
    page.fill("#id_input", "Calculate {{ data.total }} * 2.")
    page.click("text=Show what it would have matched")
    expect(page.locator("#trial")).to_contain_text("This is no JSON")
    page.fill("#id_filter", '{"path": "total", "gt": 10}')
    page.click("text=Show what it would have matched")
    expect(page.locator("#trial")).to_contain_text("1 would have matched")
    expect(page.locator("#trial")).to_contain_text("Calculate 20 * 2.")
    page.click("text=Make subscription")
    expect(page.locator(".messages")).to_contain_text("is made")


def fits_a_narrow_screen(page: Page, instance: Instance) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    for path in ("events/", "events/send/", "events/replay/", "subscriptions/", "subscriptions/doubles/edit/"):
        assert not is_wider_than_the_screen(page), page.url
        page.goto(f"{instance.url}/w/default/{path}")
    assert not is_wider_than_the_screen(page)


def test_a_webhook_wakes_its_agent_and_the_delivery_log_replays_it(
    chromium: Browser, shared_instance: Instance, address: str
) -> None:
    arrives(address, 20)
    with watched(chromium, shared_instance) as seen:
        page = seen.page
        log_in(page, shared_instance)
        page.click("nav >> text=Events")
        page.click("#events-list >> text=till.paid")
        expect(page.locator("#event-log")).to_contain_text("No subscription fits it", timeout=PATIENCE)

        subscribe_to_its_like(page)
        assert doubled(shared_instance) == []

        # A webhook arrives, and its agent wakes.
        arrives(address, 21)
        page.goto(f"{shared_instance.url}/w/default/events/?name=till.*")
        page.click("#events-list tbody tr >> nth=0 >> a")
        # No reload: the log looks by itself until the run has ended.
        expect(page.locator("#event-log .state-succeeded")).to_have_count(2, timeout=PATIENCE)
        event = page.url
        take_picture(page, "event")
        page.click("#event-log >> text=Calculate 21 * 2.")
        expect(page.locator(".prose")).to_contain_text("42", timeout=PATIENCE)
        woken = page.locator(".facts > div", has_text="Woken by")
        expect(woken).to_contain_text("till.paid")
        expect(woken).to_contain_text("doubles")
        take_picture(page, "woken")

        # The run leads to its event, whose log starts a second run.
        woken.locator("a").first.click()
        page.wait_for_url(event)
        page.click("button:has-text('Replay')")
        expect(page.locator(".event-facts")).to_contain_text("Replay of")
        expect(page.locator("#event-log .state-succeeded")).to_have_count(2, timeout=PATIENCE)
        assert doubled(shared_instance) == [{"goal": "Calculate 21 * 2."}] * 2

        fits_a_narrow_screen(page, shared_instance)
        assert seen.complaints == []
        assert seen.strangers == []
