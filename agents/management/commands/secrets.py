"""`agentsite secrets`: secrets of workspaces, and the keys that encrypt them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from cryptography.fernet import Fernet
from django.core.management import BaseCommand, CommandError

from agents.models import Workspace
from agents.services import secrets as services
from agents.services.errors import ServiceError
from tools.secrets import count_sealed, rotate


class Command(BaseCommand):
    help = "Sets and removes secrets of workspaces; makes keys and encrypts all secrets with the newest one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("new-key", help="print a new key for SECRETS_KEYS")
        actions.add_parser("rotate", help="encrypt all secrets anew with the first key of SECRETS_KEYS")
        listing = actions.add_parser("list", help="name the secrets of a workspace")
        setting = actions.add_parser("set", help="set a secret; its value is read from standard input")
        removing = actions.add_parser("remove", help="remove a secret")
        for action in (listing, setting, removing):
            action.add_argument("--workspace", default="default", help="slug of the workspace (default: %(default)s)")
        for action in (setting, removing):
            action.add_argument("name")
        setting.add_argument("--host", action="append", default=[], help="a host it may be sent to, repeatable")
        setting.add_argument("--note", default="", help="what it is for")

    def handle(self, *args: object, action: str, workspace: str = "", **options: Any) -> None:
        match action:
            case "new-key":
                self.stdout.write(Fernet.generate_key().decode())
            case "rotate":
                total = count_sealed()
                done = rotate()
                self.stdout.write(f"{done} of {total} secrets encrypted with the first key")
                if done < count_sealed():
                    raise CommandError("Some secrets can't be read with these keys; they stay as they are.")
            case _:
                try:
                    self._change(action, Workspace.objects.get(slug=workspace), **options)
                except Workspace.DoesNotExist as error:
                    raise CommandError(f"There is no workspace {workspace!r}.") from error
                except ServiceError as error:
                    raise CommandError(error.message) from error

    def _change(
        self,
        action: str,
        home: Workspace,
        *,
        name: str = "",
        host: list[str] | None = None,
        note: str = "",
        **_: object,
    ) -> None:
        match action:
            case "set":
                value = sys.stdin.read().rstrip("\r\n")
                services.set_secret(workspace=home, name=name, value=value, hosts=host or (), note=note, by=None)
            case "remove":
                services.remove_secret(services.get_secret(home, name), by=None)
            case _:
                for secret in services.list_secrets(home):
                    self.stdout.write(f"{secret.name}\t{', '.join(secret.hosts) or 'no host'}\t{secret.note}")
