"""`agentsite token create`: API tokens from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from agents.models import Scope, User, Workspace
from agents.services.access import DEFAULT_SCOPES, create_token
from agents.services.errors import ServiceError


class Command(BaseCommand):
    help = "Manages API tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser("create", help="make a token and print it; it can't be shown again")
        create.add_argument("--user", required=True, help="user name of the token's owner")
        create.add_argument("--workspace", default="default", help="slug of its workspace (default: %(default)s)")
        create.add_argument(
            "--scope", action="append", choices=Scope.values, help="what it may do, repeatable (default: read, write)"
        )
        create.add_argument("--days", type=int, help="days until it expires (default: never)")
        create.add_argument("--name", default="", help="what it is for")

    def handle(
        self,
        *args: object,
        user: str,
        workspace: str,
        scope: list[str] | None,
        days: int | None,
        name: str,
        **options: object,
    ) -> None:
        try:
            owner = User.objects.get(username=user)
            home = Workspace.objects.get(slug=workspace)
            token, text = create_token(
                user=owner,
                workspace=home,
                scopes=scope or DEFAULT_SCOPES,
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
                name=name,
            )
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user {user!r}.") from error
        except Workspace.DoesNotExist as error:
            raise CommandError(f"There is no workspace {workspace!r}.") from error
        except ServiceError as error:
            raise CommandError(error.message) from error
        until = f"until {token.expiry:%Y-%m-%d}" if token.expiry else "without end"
        self.stderr.write(f"{user} in {workspace}, {' and '.join(token.scopes)}, {until}; shown only now:")
        self.stdout.write(text)
