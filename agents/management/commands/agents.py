"""`agentsite agents`: agents written out as YAML and read in, to be kept beside code."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from agents.models import Agent, Workspace
from agents.services import agent_exchange, drafts, publishing
from agents.services.errors import InvalidInput, ServiceError


class Command(BaseCommand):
    help = "Lists agents of a workspace, writes them out as YAML and reads them in as drafts. Nothing read is executed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="name the agents of a workspace")
        exporting = actions.add_parser("export", help="write an agent as YAML to standard output")
        exporting.add_argument("name")
        exporting.add_argument(
            "--version", dest="number", default="", help="a number, or draft (default: what runs get)"
        )
        importing = actions.add_parser("import", help="read an agent in as a draft")
        importing.add_argument("file", help="a file of YAML; - for standard input")
        importing.add_argument(
            "--replace-draft", action="store_true", help="also where the draft has unpublished changes"
        )
        importing.add_argument("--publish", action="store_true", help="publish it at once")
        importing.add_argument("--note", default="", help="what changed, in words; for --publish")
        for action in (listing, exporting, importing):
            action.add_argument("--workspace", default="default", help="slug of the workspace (default: %(default)s)")

    def handle(self, *args: object, action: str, workspace: str, **options: Any) -> None:
        try:
            home = Workspace.objects.get(slug=workspace)
            match action:
                case "export":
                    agent = drafts.get_agent(home, options["name"])
                    self.stdout.write(agent_exchange.export_agent(agent, options["number"]), ending="")
                case "import":
                    self._import(home, _text(options["file"]), **options)
                case _:
                    self._list(home)
        except Workspace.DoesNotExist as error:
            raise CommandError(f"There is no workspace {workspace!r}.") from error
        except InvalidInput as error:
            told = [f"{field}: {said}" for field, messages in error.errors.items() for said in messages]
            raise CommandError("\n".join(told) or error.message) from error
        except ServiceError as error:
            raise CommandError(error.message) from error

    def _import(
        self, home: Workspace, text: str, *, replace_draft: bool, publish: bool, note: str, **_: object
    ) -> None:
        coming = agent_exchange.preview_import(home, text, by=None)
        if coming.draft and coming.draft.is_changed and not replace_draft:
            raise CommandError(
                f"The draft of {coming.definition.name} has changes that are not published; --replace-draft drops them."
            )
        if publish and coming.problems:
            raise CommandError("\n".join(f"{problem.field}: {problem.message}" for problem in coming.problems))
        draft = agent_exchange.import_agent(
            home, text, revision=coming.draft.revision if coming.draft else None, by=None
        )
        for change in coming.changes:
            self.stderr.write(f"{change.field} changed")
        for problem in coming.problems:
            self.stderr.write(f"before it can be published: {problem.field}: {problem.message}")
        if publish and draft.is_changed:
            version = publishing.publish(draft.agent, revision=draft.revision, note=note, by=None)
            self.stdout.write(str(version))
        else:
            self.stdout.write(f"{draft.agent.name}: {'draft' if draft.is_changed else 'as published'}")

    def _list(self, home: Workspace) -> None:
        for agent in Agent.objects.filter(workspace=home, archived_at=None).select_related("current").order_by("name"):
            version = str(agent.current.number) if agent.current else "not published"
            self.stdout.write(f"{agent.name}\t{version}\t{agent.description}")


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} can't be read: {error}") from error
