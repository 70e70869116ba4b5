"""`agentsite web`: the web process."""

from __future__ import annotations

from argparse import ArgumentParser
from importlib import import_module

from django.conf import settings
from django.core.management import BaseCommand


class Command(BaseCommand):
    help = "Serves pages, API and live progress by daphne."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.BIND, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port (default: %(default)s)")

    def handle(self, *args: object, host: str, port: int, **options: object) -> None:
        arguments = ["--bind", host, "--port", str(port), "--verbosity", "0", "--no-server-name"]
        # By its name, and only now: the server is above this package, and installs the event loop of the process.
        import_module("agentsite.server").main([*arguments, "agentsite.asgi:application"])
