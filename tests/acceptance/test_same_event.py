"""The same event reaches two web processes at once, again and again: one event, one run."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.instance import Instance, free_port, wait_until
from tests.world import World

SETUP = """
from agents.models import Agent, AgentVersion, Workspace

agent = Agent.objects.create(workspace=Workspace.objects.get(slug="default"), name="packer")
agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow="chain")
agent.save()
"""
ORDERS = {"name": "orders", "pattern": "order.*", "agent": "packer", "input": {"steps": 0, "n": "{{ event_id }}"}}
MANY = 40
"""Events that are told of one by one, and as many webhooks."""
BATCHES, SIZE = 10, 40
CLIENTS = 2
"""At each of the two web processes."""


@pytest.mark.slow
@pytest.mark.fault(28)
def test_the_same_event_at_two_web_processes_starts_one_run(instance: Instance, tmp_path: Path) -> None:
    world = World(instance, tmp_path)
    instance.environment["WORKFLOW_MODULES"] = "tests.workflows"
    instance.manage("shell", "-v", "0", "-c", SETUP)
    token = instance.token(scopes=("read", "write", "admin"))
    urls = []
    for port in (instance.port, free_port()):
        instance.port = port
        instance.start_web()
        urls.append(instance.url)
    # While events come they are dispatched, by two.
    world.start_workers()
    with instance.client(token) as api, closing(Many(urls, token)) as many:
        assert api.post("subscriptions", json=ORDERS).status_code == 201
        source = {"name": "shop", "scheme": "none", "event_name": "order.hook", "id_from": "header:x-id"}
        made = api.post("webhooks/sources", json=source)
        assert made.status_code == 201, made.text
        hook = httpx.URL(made.json()["url"]).path
        tell_all(many, hook)
        events = 2 * MANY + BATCHES * SIZE
        ended = "SELECT count(*) FROM agents_run WHERE status = 'succeeded'"
        wait_until(lambda: world.rows(ended)[0][0] >= events, 60.0, "a run of each event")
        # The product tells of events of its own besides.
        counts = "SELECT count(*), count(DISTINCT event_id), count(DISTINCT run_id) FROM agents_match"
        assert world.rows(counts) == [(events, events, events)]
        assert world.rows("SELECT count(*) FROM agents_run") == [(events,)]
        told = "SELECT count(*), count(DISTINCT event_id), count(dispatched_at) FROM agents_event WHERE name LIKE ?"
        assert world.rows(told, "order.%") == [(events, events, events)]


def tell_all(many: Many, hook: str) -> None:
    """Tell of all events and webhooks; each is new once."""
    for number in range(MANY):
        assert told_once(many.post("/api/v1/events", {"name": "order.paid", "source": "shop", "id": f"e{number}"}))
        # A webhook's answer says the same each time.
        answers = many.post(hook, {"n": number}, {"x-id": f"h{number}"})
        assert len({answer["event"] for answer in answers}) == 1
    for number in range(BATCHES):
        batch = [{"name": "order.sent", "source": "shop", "id": f"b{number}-{n}"} for n in range(SIZE)]
        answers = many.post("/api/v1/events", batch, is_turned=True)
        news = Counter(item["event_id"] for answer in answers for item in answer["items"] if item["is_new"])
        assert news == Counter(item["id"] for item in batch)


class Many:
    """Clients that send at the same moment, to both web processes."""

    def __init__(self, urls: list[str], token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.clients = [
            httpx.Client(base_url=url, headers=headers, timeout=30.0, trust_env=False) for url in urls * CLIENTS
        ]
        self.pool = ThreadPoolExecutor(len(self.clients))

    def close(self) -> None:
        self.pool.shutdown()
        for client in self.clients:
            client.close()

    def post(
        self, path: str, body: Any, headers: dict[str, str] | None = None, *, is_turned: bool = False
    ) -> list[Any]:
        """Send the same body from all at once, from every other one in the opposite order; gives the answers."""
        together = Barrier(len(self.clients))

        def send(number: int) -> Any:
            given = body[::-1] if is_turned and number % 2 else body
            together.wait(20)
            answer = self.clients[number].post(path, json=given, headers=headers)
            assert answer.status_code == 202, answer.text
            return answer.json()

        return list(self.pool.map(send, range(len(self.clients))))


def told_once(answers: list[Any]) -> bool:
    """Whether all were told of the same event, and one that it was new."""
    return len({answer["id"] for answer in answers}) == 1 and sum(answer["is_new"] for answer in answers) == 1
