"""`agentsite web`: the web process."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management import BaseCommand


class Command(BaseCommand):
    help = "Serves pages, API and live progress by daphne."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port (default: %(default)s)")

    def handle(self, *args: object, host: str, port: int, **options: object) -> None:
        # A fresh interpreter: the server installs its event loop before anything else is imported, and the settings
        # are read again, for a web process.
        command = [sys.executable, "-m", "agentsite.server", "--bind", host, "--port", str(port)]
        command += ["--verbosity", "0", "--no-server-name", "agentsite.asgi:application"]
        os.execv(sys.executable, command)  # noqa: S606 (a fixed program, no shell)
