"""One performance: load and disruptions for so many seconds, then calm until everything has ended, then the verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from agents.models import Run
from tests.chaos.checks import Circumstances
from tests.chaos.client import Client
from tests.chaos.clusters import LEASE_SECONDS, Clusters
from tests.chaos.disruptions import Disruptions
from tests.chaos.ledger import Ledger
from tests.chaos.outside import VARIABLE, Outside
from tests.chaos.schedule import Database, schedule
from tests.chaos.verdict import judge
from tests.instance import Instance
from tests.postgres import Server

SETTLE_SECONDS = 120.0
MOST_WORDS = 600


@dataclass(frozen=True)
class Performance:
    """What is performed, where, and how it is told."""

    seed: int
    seconds: float
    database: Database
    instance: Instance
    server: Server | None
    file: Path | None
    say: Callable[[str], None]

    def perform(self) -> dict[str, Any]:
        """Give the figures, with the breaches in words."""
        folder = self.instance.directory
        outside = self._outside()
        ledger = Ledger(folder / "ledger")
        clusters = Clusters(self.instance, ledger.complain)
        disruptions = Disruptions(clusters, self.server, self.file)
        client = Client(self.instance, self.instance.token(), self.seed, ledger, outside)
        began = time.monotonic()
        try:
            clusters.start()
            client.start()
            began = time.monotonic()
            self._disrupt(disruptions, began)
            client.stop_starting()
            disruptions.end()
            settled_after = self._settle(client, ledger)
        finally:
            disruptions.end()
            client.close()
            clusters.stop()
            ledger.close()
        stopped_after = round(time.monotonic() - began - self.seconds, 1)
        verdict = judge(ledger, outside, Circumstances(disruptions.held_up, disruptions.stops), folder)
        if client.error is not None:
            verdict.breaches.append(f"the client gave up: {client.error!r}")
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "database": self.database,
            **verdict.figures(),
            "disruptions": dict(sorted(disruptions.counts.items())),
            "missed": dict(sorted(disruptions.missed.items())),
            "restarts": clusters.restarts,
            "settled_after": settled_after,
            "stopped_after": stopped_after,
            "breaches": [breach[:MOST_WORDS] for breach in verdict.breaches],
        }

    def _outside(self) -> Outside:
        """Give the outside world, and tell the product where it is."""
        folder = self.instance.directory / "outside"
        outside = Outside(folder)
        outside.make()
        self.instance.environment |= {"WORKFLOW_MODULES": "tests.chaos.workload", VARIABLE: str(folder)}
        return outside

    def _disrupt(self, disruptions: Disruptions, began: float) -> None:
        for disruption in schedule(self.seed, self.seconds, self.database, LEASE_SECONDS):
            time.sleep(max(0.0, began + disruption.at - time.monotonic()))
            self.say(f"{disruption.at:7.2f} s  {disruption.kind} ({disruption.which:.2f}, {disruption.seconds:g} s)")
            disruptions.carry_out(disruption)
        time.sleep(max(0.0, began + self.seconds - time.monotonic()))

    def _settle(self, client: Client, ledger: Ledger) -> float | None:
        """Wait until all has ended; gives the seconds it took, None if it did not."""
        began = time.monotonic()
        calm = threading.Event()
        self.say("calm; waiting for every run to end")
        while time.monotonic() - began < SETTLE_SECONDS and client.error is None:
            try:
                if client.is_done():
                    return round(time.monotonic() - began, 1)
            except (DatabaseError, InterfaceError):
                connection.close()
            calm.wait(0.25)
        left = Run.objects.active().count()
        ledger.complain(f"{left} runs have not ended {SETTLE_SECONDS:g} s after the last disruption")
        return None
