"""`agentsite worker`: what drives the runs."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management import BaseCommand

from agents.management.children import agentsite
from agents.management.clusters import QUEUE_VARIABLE, QUEUES, STOP_MARGIN, cluster_programs
from agents.management.supervisor import Supervisor
from agents.queue.cluster import run_cluster


class Command(BaseCommand):
    help = "Runs the clusters of worker processes: both queues, or the one that --queue names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("-q", "-n", "--queue", "--name", choices=QUEUES, help="run this queue's cluster only")

    def handle(self, *args: object, queue: str | None, **options: object) -> None:
        if queue is None:
            supervisor = Supervisor(cluster_programs(), grace=settings.GRACE_SECONDS + STOP_MARGIN, say=self._say)
            sys.exit(supervisor.run())
        if os.environ.get(QUEUE_VARIABLE, QUEUES[0]) != queue:
            command = agentsite("worker", "--queue", queue)
            os.execve(command[0], command, {**os.environ, QUEUE_VARIABLE: queue})  # noqa: S606 (our own program)
        sys.exit(run_cluster(queue))

    def _say(self, text: str) -> None:
        self.stdout.write(f"agentsite: {text}")
        self.stdout.flush()
