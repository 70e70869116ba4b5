"""Clients of a real instance that live through outages as good clients do, and insist on being told the truth."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from html import unescape

import httpx

from tests.instance import ADMIN_PASSWORD, Instance

PROBLEM = "application/problem+json"
PATIENCE = 120.0
# What an answer to a stranger must not contain.
INSIDES = re.compile(r"Traceback|psycopg|sqlite3|django\.db|FATAL|File \"")


def check_outage(answer: httpx.Response, words: str = "") -> None:
    """Insist that an answer says: the database does not serve, why, and when to come again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert words in unescape(answer.text)
    assert not INSIDES.search(answer.text), answer.text


def post_run(api: httpx.Client, key: str, workflow: str, input: object) -> str:
    """Start a run, coming back as often as the server says that its database is away; give the run's id."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        body = {"workflow": workflow, "input": input}
        answer = api.post("runs", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 202:
            return str(answer.json()["id"])
        check_outage(answer)
        assert answer.headers["Content-Type"] == PROBLEM
        time.sleep(0.1)
    raise TimeoutError(f"no run was accepted within {PATIENCE:g} s")


def post_runs(pool: ThreadPoolExecutor, api: httpx.Client, keys: Sequence[str], **input: object) -> Future[list[str]]:
    """Start a chain for each key, one after the other, beside the test."""
    return pool.submit(lambda: [post_run(api, key, "chain", input) for key in keys])


def log_in(instance: Instance) -> httpx.Client:
    """Give the session of the administrator in a browser."""
    browser = httpx.Client(base_url=instance.url, timeout=20.0, trust_env=False, follow_redirects=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login/").text)
    assert token is not None
    form = {"username": "admin", "password": ADMIN_PASSWORD, "csrfmiddlewaretoken": token[1]}
    answer = browser.post("/login/", data=form)
    assert answer.status_code == 200, answer.text
    assert "/login/" not in str(answer.url)
    return browser


def cookies_of(browser: httpx.Client) -> str:
    """Give the session's cookies as a header."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def read_events(instance: Instance, token: str, run: str) -> list[int]:
    """Follow a run's stream, on one connection, to the run's end; give the numbers of its events.

    Only if the database is lost while the stream is being opened, it is opened once more.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with httpx.Client(base_url=f"{instance.url}/api/v1/", timeout=PATIENCE, trust_env=False) as client:
        while True:
            with client.stream("GET", f"runs/{run}/events", headers=headers) as answer:
                if answer.status_code == 200:
                    return [int(line.removeprefix("id: ")) for line in answer.iter_lines() if line.startswith("id: ")]
                answer.read()
                check_outage(answer)
