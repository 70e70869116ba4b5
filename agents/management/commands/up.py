"""`agentsite up`: the whole product in one foreground process."""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser
from contextlib import closing

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from agents.management.children import Program, agentsite
from agents.management.clusters import STOP_MARGIN, cluster_programs
from agents.management.preparing import prepare
from agents.management.supervisor import Supervisor


class Command(BaseCommand):
    help = "Prepares the database, then runs the web process and the workers until Ctrl-C."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port (default: %(default)s)")

    def handle(self, *args: object, host: str, port: int, **options: object) -> None:
        if is_answering(host, port):
            raise CommandError(f"Port {port} is in use. Stop what listens there, or choose another: PORT=… or --port …")
        applied, started = prepare()
        if applied:
            self._say(f"{applied} migrations applied")
        if started.is_new:
            self._say(f"set up the workspace {started.workspace.slug} with its starting agents and sample documents")
        self._say(f"data in {settings.VAR_DIR}; model {settings.MODEL}; {settings.WORKERS} worker processes")

        web = agentsite("web", "--host", host, "--port", str(port))
        programs = [*cluster_programs(), Program("web", web, {"PORT": str(port)}, stage=1)]
        address = settings.PUBLIC_URL or f"http://localhost:{port}"

        def announce() -> None:
            self._say(f"ready at {address} (Ctrl-C stops)")
            if started.login_url:
                link = started.login_url.replace(f"//localhost:{settings.PORT}/", f"//localhost:{port}/")
                self._say(f"log in as admin, once and within 24 hours, by this link:\n\n    {link}\n")

        supervisor = Supervisor(programs, grace=settings.GRACE_SECONDS + STOP_MARGIN, say=self._say)
        sys.exit(supervisor.run(is_ready=lambda: is_answering(host, port), when_ready=announce))

    def _say(self, text: str) -> None:
        self.stdout.write(f"agentsite: {text}")
        self.stdout.flush()


def is_answering(host: str, port: int) -> bool:
    """Say whether something accepts connections there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.settimeout(0.5)
        # "Every address" can be listened on, not connected to.
        return probe.connect_ex(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)) == 0  # noqa: S104
