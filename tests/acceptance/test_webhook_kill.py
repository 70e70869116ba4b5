"""kill -9 between each two commits from an event to its delivery: at least one delivery, none lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.instance import Instance, wait_until
from tests.receiver import receiver
from tests.stops import stopped

PLACES = ("dispatching", "dispatched", "claimed", "sent", "recording", "recorded")


@pytest.mark.slow
@pytest.mark.fault(29)
def test_a_kill_between_each_two_commits_loses_no_webhook(instance: Instance, tmp_path: Path) -> None:
    stops = tmp_path / "stops"
    stops.touch()
    instance.environment |= {
        "STOPS": str(stops),
        "WORKFLOW_MODULES": "tests.webhook_stops",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    instance.start_web()
    token = instance.token(scopes=("read", "write", "admin"))
    with receiver() as shop, instance.client(token) as api:
        endpoint = {"name": "shop", "url": shop.url("/"), "events": ["stop.*"]}
        made = api.post("webhooks/endpoints", json=endpoint)
        assert made.status_code == 201, made.text
        for place in PLACES:
            told = api.post("events", json={"name": f"stop.{place}", "data": {"n": 1}})
            assert told.status_code == 202, told.text
        instance.start_worker()
        killed: set[str] = set()
        deadline = time.monotonic() + 120
        while killed < set(PLACES):
            assert time.monotonic() < deadline, killed
            for pid, name in stopped(stops):
                if (place := name.removeprefix("stop.")) not in killed:
                    instance.kill(pid)
                    killed.add(place)
            time.sleep(0.05)

        def are_delivered() -> bool:
            items = api.get("webhooks/deliveries").json()["items"]
            return len(items) == len(PLACES) and all(item["status"] == "delivered" for item in items)

        wait_until(are_delivered, 60.0, "all to be delivered")
        items = api.get("webhooks/deliveries").json()["items"]
        # Some twice, under the id they had; none not at all.
        assert {item["message_id"] for item in items} == set(shop.ids())
        assert {item["event_name"] for item in items} == {f"stop.{place}" for place in PLACES}
        assert len(shop.ids()) > len(PLACES)
