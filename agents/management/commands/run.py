"""`agentsite run`: start an agent and watch it from the terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.live import Live

from agents.management.following import Picture, follow, plain
from agents.management.interrupts import Interrupts
from agents.models import Agent, Run, RunStatus, Workspace
from agents.services.errors import ServiceError
from agents.services.publishing import split_pin
from agents.services.runs import cancel_run, start_run

EXIT_CODES = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 2}
DETACHED = 3


class Command(BaseCommand):
    help = (
        "Starts an agent (or a workflow, by its name) on a goal. The tree of steps goes to stderr, the result to "
        "stdout. Exit code: 0 succeeded, 1 failed, 2 cancelled, 3 detached by Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="AGENT", help="name of an agent (name@3: its version 3), or of a workflow")
        parser.add_argument("goal", metavar="GOAL", help='what to do; JSON (e.g. {"goal": "…"}) is taken as it is')
        parser.add_argument("--workspace", default="default", help="slug of the workspace (default: %(default)s)")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--follow", action="store_true", help="watch until it ends (the default)")
        how.add_argument("--detach", action="store_true", help="print the run's id and leave it to the workers")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the ended run as JSON")

    def handle(
        self, *args: object, agent: str, goal: str, workspace: str, detach: bool, as_json: bool, **options: object
    ) -> None:
        run = _start(agent, goal, workspace)
        if detach:
            self.stdout.write(str(run.pk))
            return
        if not self._follow(run, quiet=as_json):
            self.stderr.write(f"detached; the run goes on: {run.pk}")
            sys.exit(DETACHED)
        run.refresh_from_db()
        if as_json:
            self.stdout.write(orjson.dumps(_as_json(run)).decode())
        else:
            self._print_result(run)
        sys.exit(EXIT_CODES[RunStatus(run.status)])

    def _follow(self, run: Run, *, quiet: bool) -> bool:
        """Watch the run; say whether it was watched to its end. Ctrl-C detaches, a second one cancels."""
        console = Console(stderr=True, quiet=quiet)
        picture = Picture(title=f"{run.title} {run.pk}", reason="queued")
        live = Live(picture, console=console, refresh_per_second=10, transient=False)
        with Interrupts() as interrupts, live:
            for _ in follow(run.pk, picture):
                live.refresh()
                if interrupts.count:
                    return self._detach_or_cancel(run, picture, live, interrupts)
        return True

    def _detach_or_cancel(self, run: Run, picture: Picture, live: Live, interrupts: Interrupts) -> bool:
        picture.reason = "detaching; Ctrl-C again within 2 s cancels the run"
        live.refresh()
        # One that came meanwhile counts as well.
        if interrupts.count < 2 and not interrupts.comes_within(2.0):
            return False
        cancel_run(run, by=None)
        for _ in follow(run.pk, picture):
            live.refresh()
        return True

    def _print_result(self, run: Run) -> None:
        if run.status == RunStatus.SUCCEEDED:
            text = run.output.get("text") if isinstance(run.output, dict) else run.output
            self.stdout.write(plain(text) if isinstance(text, str) else orjson.dumps(run.output).decode())
        elif run.status == RunStatus.FAILED:
            error = run.error if isinstance(run.error, dict) else {"message": run.error}
            self.stderr.write(self.style.ERROR(f"failed: {plain(str(error.get('message', error)))}"))
        else:
            self.stderr.write("cancelled")


def _start(agent: str, goal: str, workspace: str) -> Run:
    try:
        home = Workspace.objects.get(slug=workspace)
        name, version = split_pin(agent)
        found = Agent.objects.filter(workspace=home, name=name, archived_at=None).first()
        workflow = "" if found else agent
        return start_run(
            workspace=home, input=_input(goal), agent=found, version=version, workflow=workflow, source="cli"
        )
    except Workspace.DoesNotExist as error:
        raise CommandError(f"There is no workspace {workspace!r}.") from error
    except ServiceError as error:
        raise CommandError(error.message) from error


def _input(goal: str) -> Any:
    """Take an object or a list in JSON as it is, and everything else as the text of a goal."""
    if goal.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(goal)
        except orjson.JSONDecodeError:
            return goal
    return goal


def _as_json(run: Run) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "status": run.status,
        "reason": run.reason,
        "output": run.output,
        "error": run.error,
        "steps": run.steps_done,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_microusd": run.cost_microusd,
        "is_priced": run.is_priced,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }
