"""kill -9 between each two commits from an event, or the change that it is, to its run: once, and none lost."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.instance import Instance, free_port, wait_until
from tests.receiver import receiver
from tests.stops import stopped
from tests.world import World

SETUP = """
from agents.models import Agent, AgentVersion, Workspace

agent = Agent.objects.create(workspace=Workspace.objects.get(slug="default"), name="noter")
agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow="note")
agent.save()
"""
CHANGE = "from django.contrib.auth.models import Group; Group.objects.create(name='{}')"
SUBSCRIPTIONS: dict[str, dict[str, Any]] = {
    "plain.*": {},
    "emitted.*": {},
    "auth.group.*": {"input": {"goal": "{{ data.values.name }}"}},
    "debounced.*": {"flow": {"key": "name", "debounce": {"seconds": 1}}},
    "batched.*": {
        "flow": {"key": "name", "batch": {"count": 3, "seconds": 2}},
        "input": {"goal": "{{ name }}", "count": "{{ count }}"},
    },
    "replacing.*": {"flow": {"overlap": "cancel"}, "input": {"goal": "{{ name }}", "seconds": 600}},
}
AT_THE_WEB = ("plain.accepting", "plain.accepted")
BY_EVENTS = {
    **{f"plain.{place}": 1 for place in ("told", "starting", "dispatching", "dispatched")},
    **{f"debounced.{place}": 2 for place in ("dispatched", "starting", "started")},
    # Nothing comes after it that would have the line looked at.
    "debounced.met": 1,
    "batched.starting": 3,
    "batched.started": 2,
}
"""How many events of each name are told of."""
BY_RUNS = ("emitted.emitting", "emitted.emitted", "heard.registered", "heard.handing")
BY_CHANGES = ("change.accepting", "change.accepted")


class Way(World):
    """An instance whose processes stop where the names of events say so."""

    def __init__(self, instance: Instance, directory: Path) -> None:
        super().__init__(instance, directory)
        self.stops = directory / "stops"
        self.stops.touch()
        self.killed: set[tuple[int, str]] = set()
        instance.environment |= {
            "STOPS": str(self.stops),
            "WORKFLOW_MODULES": "tests.event_stops",
            "EVENT_MODELS": "auth.Group@default",
            "ALLOWED_NETWORKS": "127.0.0.0/8",
        }

    def kill_at(self, *names: str) -> None:
        """Kill whoever stops, until somebody has been killed at each of these."""
        deadline = time.monotonic() + 90
        while not set(names) <= {name for _, name in self.killed}:
            assert time.monotonic() < deadline, set(names) - {name for _, name in self.killed}
            for stop in stopped(self.stops):
                if stop not in self.killed:
                    with suppress(ProcessLookupError):
                        self.instance.kill(stop[0])
                    self.killed.add(stop)
            time.sleep(0.02)

    def goals(self) -> Counter[str]:
        """Give for what runs were started by events, and how often."""
        return Counter(
            json.loads(input)["goal"] for (input,) in self.rows("SELECT input FROM agents_run WHERE source='event'")
        )


@pytest.mark.slow
@pytest.mark.fault(28)
def test_a_kill_between_each_two_commits_starts_one_run_of_each_event(instance: Instance, tmp_path: Path) -> None:
    way = Way(instance, tmp_path)
    instance.manage("shell", "-v", "0", "-c", SETUP, WORKFLOW_MODULES="")
    token = instance.token(scopes=("read", "write", "admin"))
    first, second = instance.port, free_port()
    instance.start_web()
    with receiver() as shop:
        with instance.client(token) as api:
            for number, (pattern, more) in enumerate(SUBSCRIPTIONS.items()):
                body = {"name": f"s{number}", "pattern": pattern, "agent": "noter", "input": {"goal": "{{ name }}"}}
                made = api.post("subscriptions", json=body | more)
                assert made.status_code == 201, made.text
            endpoint = {"name": "shop", "url": shop.url("/"), "events": ["*"]}
            assert api.post("webhooks/endpoints", json=endpoint).status_code == 201
        assert tell_although_killed(way, token, "plain.accepting", first, second) is True
        assert tell_although_killed(way, token, "plain.accepted", second, first) is False
        with instance.client(token) as api:
            follow(way, api)
        assert_each_came_once(way, set(shop.ids()))


def tell_although_killed(way: Way, token: str, name: str, port: int, other: int) -> bool:
    """Tell of an event at a web process that is killed meanwhile, and once more at another; was it new there?"""
    body = {"name": name, "id": name, "source": "shop"}

    def tell() -> None:
        with suppress(httpx.TransportError), way.instance.client(token) as api:
            api.post(f"http://127.0.0.1:{port}/api/v1/events", json=body)

    client = threading.Thread(target=tell)
    client.start()
    way.kill_at(name)
    client.join(20)
    way.instance.port = other
    way.instance.start_web()
    with way.instance.client(token) as api:
        told = api.post("events", json=body)
    assert told.status_code == 202, told.text
    return bool(told.json()["is_new"])


def follow(way: Way, api: httpx.Client) -> None:
    """Send all events on their way, and kill the workers at each place."""

    def tell(name: str, key: Any = "told") -> None:
        assert api.post("events", json={"name": name, "data": {"key": key}}).status_code == 202

    for name, times in BY_EVENTS.items():
        for key in range(times):
            tell(name, key)
    heard = [way.queue("hear", name=name) for name in BY_RUNS if name.startswith("heard.")]
    for name in BY_RUNS:
        tell(name) if name.startswith("heard.") else way.queue("tell", name=name)
    for name in BY_CHANGES:
        way.instance.start("shell", "-v", "0", "-c", CHANGE.format(name), name="change")
    way.start_workers()
    way.kill_at(*BY_EVENTS, *BY_RUNS, *BY_CHANGES)
    tell("replacing.first")
    wait_until(lambda: "replacing.first" in way.effects.read_text().split(), 40.0, "the run to be replaced")
    tell("replacing.started")
    way.kill_at("replacing.started")
    ended = "SELECT status FROM agents_run WHERE source='event' AND input LIKE ?"
    replaced = [("cancelled",)]
    wait_until(lambda: way.rows(ended, "%replacing.first%") == replaced, 40.0, "the earlier run to be cancelled")
    for run in heard:
        wait_until(lambda run=run: api.get(f"runs/{run}").json()["output"] == "told", 40.0, "the run to hear")  # type: ignore[misc]
    left = "SELECT count(*) FROM agents_event WHERE dispatched_at IS NULL"
    wait_until(lambda: way.rows(left) == [(0,)], 40.0, "all to be dispatched")
    pending = "SELECT count(*) FROM agents_webhookdelivery WHERE status = 'pending'"
    wait_until(lambda: way.rows(pending) == [(0,)], 40.0, "all to be delivered")
    expected = sum(1 for name in (*AT_THE_WEB, *BY_EVENTS, *BY_RUNS, *BY_CHANGES) if is_started(name))
    # With those that replace each other.
    wait_until(lambda: way.goals().total() >= expected + 2, 40.0, "all runs to be started")


def is_started(name: str) -> bool:
    """Whether a run is to be started by it: it was told of, and nobody waited for it alone."""
    return not name.startswith("heard.") and name != "change.accepting"


def assert_each_came_once(way: Way, delivered: set[str]) -> None:
    expected = {name for name in (*AT_THE_WEB, *BY_EVENTS, *BY_RUNS, *BY_CHANGES) if is_started(name)}
    assert way.goals() == Counter({*expected, "replacing.first", "replacing.started"})
    # A change that was killed before its commit is none, and is no event either.
    assert way.rows("SELECT name FROM auth_group") == [("change.accepted",)]
    matches = Counter(way.rows("SELECT e.name, m.status FROM agents_match m JOIN agents_event e ON e.id = m.event_id"))
    for name, times in BY_EVENTS.items():
        skipped = times - 1 if name.startswith("debounced.") else 0
        came = {"started": times - skipped, **({"skipped": skipped} if skipped else {})}
        assert {status: n for (of, status), n in matches.items() if of == name} == came, name
    assert {name: n for (name, status), n in matches.items() if status == "woke"} == {
        "heard.registered": 1,
        "heard.handing": 1,
    }
    deliveries = way.rows("SELECT d.id, d.status FROM agents_webhookdelivery d")
    events = way.rows("SELECT count(*) FROM agents_event")
    assert [(len(deliveries),)] == events
    assert {status for _, status in deliveries} == {"delivered"}
    assert len(delivered) == len(deliveries)
