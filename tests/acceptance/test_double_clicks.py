"""Clicking twice, or many times at once: it happens once, over the API and on the pages of a running site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import httpx
import pytest

from tests.instance import ADMIN_PASSWORD, Instance, wait_until

MANY = 16


@pytest.fixture
def pages(shared_instance: Instance) -> Iterator[httpx.Client]:
    """A browser without scripts, logged in."""
    with httpx.Client(base_url=f"{shared_instance.url}/", trust_env=False, timeout=30.0) as client:
        client.get("login/")
        client.post("login/", data={"username": "admin", "password": ADMIN_PASSWORD} | csrf(client))
        assert client.get("w/default/").status_code == 200
        yield client


def csrf(client: httpx.Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": next(value for name, value in client.cookies.items() if name.endswith("_csrf"))}


@pytest.mark.fault(12)
def test_pause_resume_and_cancel_happen_once(shared_instance: Instance, pages: httpx.Client) -> None:
    api = shared_instance.api
    run = api.post("runs", json={"agent": "tool-agent", "input": "Wait 300 seconds."}).json()["id"]
    form = csrf(pages)

    def by_api(verb: str) -> int:
        return api.post(f"runs/{run}/{verb}").status_code

    def by_page(verb: str) -> int:
        return pages.post(f"w/default/runs/{run}/{verb}/", data=form).status_code

    rounds = 0
    for click in (by_api, by_page):
        for times in (2, MANY):
            wait_until(partial(rests, api, run, paused=False), 30.0, "the run to wait")
            rounds += 1
            answers = at_once(times, click, "pause")
            assert answers == ({202: 1, 409: times - 1} if click is by_api else {302: times})
            wait_until(partial(rests, api, run, paused=True), 30.0, "the run to be paused")
            answers = at_once(times, click, "resume")
            assert answers == ({202: 1, 409: times - 1} if click is by_api else {302: times})
            told = events(api, run)
            assert (told["run_paused"], told["run_resumed"]) == (rounds, rounds)
    half = Barrier(2)
    with ThreadPoolExecutor(2) as faces:
        both = [
            faces.submit(lambda click: half.wait(20) >= 0 and at_once(MANY // 2, click, "cancel"), click)
            for click in (by_api, by_page)
        ]
        assert [face.result() for face in both] == [{202: MANY // 2}, {302: MANY // 2}]
    wait_until(lambda: api.get(f"runs/{run}").json()["status"] == "cancelled", 30.0, "its end")
    told = events(api, run)
    assert (told["run_cancel_requested"], told["run_cancelled"]) == (1, 1)


def at_once(times: int, click: Callable[[str], int], verb: str) -> Counter[int]:
    together = Barrier(times)

    def one(_: int) -> int:
        together.wait(20)
        return click(verb)

    with ThreadPoolExecutor(times) as clients:
        return Counter(clients.map(one, range(times)))


def rests(api: httpx.Client, run: str, *, paused: bool) -> bool:
    found: dict[str, str] = api.get(f"runs/{run}").json()
    return found["status"] == "waiting" and found["reason"].startswith("paused") == paused


def events(api: httpx.Client, run: str) -> Counter[str]:
    return Counter(event["kind"] for event in api.get(f"runs/{run}/events", params={"limit": 500}).json()["items"])
