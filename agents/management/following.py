"""Following a run in a terminal: a tree of its steps on stderr, fed by the run's own event log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from agents.engine.outages import DATABASE_ERRORS, outage_of
from agents.models import Run, RunEvent

SHORTEST_POLL = 0.05
LONGEST_POLL = 0.5
PAGE = 500
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

RUN_NEWS = {
    "run_paused": "paused",
    "run_resumed": "resumed",
    "run_cancel_requested": "cancel requested: stopping",
    "run_pause_requested": "pause requested",
    "run_woken": "woken",
}


@dataclass
class StepLine:
    """What is known of one step."""

    key: str
    title: str
    state: str = "running"
    detail: str = ""


@dataclass
class Picture:
    """The run as its events so far tell it."""

    title: str
    reason: str = ""
    steps: dict[str, StepLine] = field(default_factory=dict)
    has_ended: bool = False

    def add(self, event: RunEvent) -> None:
        """Take one event in."""
        data: dict[str, Any] = event.data or {}
        if event.kind.startswith("step_"):
            self._add_step(event.kind.removeprefix("step_"), data)
        elif event.kind == "run_started":
            self.reason = f"running on {data.get('worker', 'a worker')}"
        elif event.kind == "run_waiting":
            self.reason = str(data.get("reason", "waiting"))
        elif event.kind == "progress":
            self.reason = f"{data.get('name', 'progress')}: {plain(str(data.get('data', '')), 80)}"
        elif event.kind in ("run_succeeded", "run_failed", "run_cancelled"):
            self.has_ended = True
            self.reason = event.kind.removeprefix("run_")
        else:
            self.reason = RUN_NEWS.get(event.kind, self.reason)

    def _add_step(self, what: str, data: dict[str, Any]) -> None:
        key = str(data.get("key", ""))
        title = plain(" ".join(filter(None, (data.get("label"), data.get("name") or data.get("kind")))), 60)
        line = self.steps.setdefault(key, StepLine(key, title or key))
        if what == "started":
            attempt = data.get("attempt", 1)
            line.state, line.detail = "running", f"attempt {attempt}" if attempt > 1 else ""
        elif what == "finished":
            line.state, line.detail = "done", _measures(data)
        elif what == "failed":
            line.state, line.detail = "failed", _error(data)
        elif what == "retrying":
            line.state, line.detail = "waiting", f"again in {data.get('delay', 0):.1f} s: {_error(data)}"
        elif what == "interrupted":
            line.state, line.detail = "waiting", "interrupted"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        turn = "" if self.has_ended else SPINNER[int(time.monotonic() * 10) % len(SPINNER)] + " "
        tree = Tree(Text.assemble(turn, (self.title, "bold"), "  ", (plain(self.reason, 100), "dim")))
        branches: dict[str, Tree] = {}
        # The newest that fit: a long run must not push its own head off the screen.
        room = max(options.height - 4 if options.height else console.height - 4, 8)
        lines = list(self.steps.values())
        if len(lines) > room:
            tree.add(Text(f"… {len(lines) - room} earlier steps", "dim"))
        for line in lines[-room:]:
            _branch(tree, branches, line.key).add(_line(line))
        yield tree


MARKS = {"running": ("●", "cyan"), "done": ("✓", "green"), "failed": ("✗", "red"), "waiting": ("…", "yellow")}


def _line(line: StepLine) -> Text:
    mark, colour = MARKS[line.state]
    return Text.assemble((f"{mark} ", colour), line.title, "  ", (line.detail, "dim"))


def _branch(tree: Tree, branches: dict[str, Tree], key: str) -> Tree:
    """Return the node that a step belongs under: its scope is the part of the key before the last slash.

    Branches are named by it: `gather#0/2/tool:wait#0` is in branch 2 of the first gather.
    """
    scope = key.rpartition("/")[0]
    if not scope:
        return tree
    if scope not in branches:
        branches[scope] = tree.add(Text(scope.replace("#0/", " ").replace("/", " › "), "dim"))
    return branches[scope]


def _measures(data: dict[str, Any]) -> str:
    parts = [f"{data['ms'] / 1000:.1f} s" if data.get("ms") is not None else ""]
    parts += [f"{data['tokens']} tokens" if data.get("tokens") else ""]
    parts += [f"${data['cost'] / 1_000_000:.4f}" if data.get("cost") else ""]
    return ", ".join(filter(None, parts))


def _error(data: dict[str, Any]) -> str:
    error = data.get("error")
    return plain(str(error.get("message", error)) if isinstance(error, dict) else str(error or ""), 100)


def plain(text: str, width: int | None = None) -> str:
    """Make text from a model or a web page safe to print: without control characters, at most so wide."""
    kept = "".join(sign if sign.isprintable() or (width is None and sign in "\n\t") else " " for sign in text)
    return kept if width is None or len(kept) <= width else kept[: width - 1] + "…"


class EventReader:
    """Reads the log of a run from the last number seen."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._seen = 0

    def news(self) -> Iterable[RunEvent]:
        """Return the events since the last call, in their order. Asks for them only when there are any."""
        last = Run.objects.values_list("last_event", flat=True).get(pk=self._run_id)
        while self._seen < last:
            events = list(RunEvent.objects.filter(run=self._run_id, number__gt=self._seen).order_by("number")[:PAGE])
            if not events:
                return
            self._seen = events[-1].number
            yield from events


def follow(run_id: UUID, picture: Picture) -> Iterator[None]:
    """Feed the picture until the run ends; yield after each look, looking less often the less happens.

    A database that is away is waited for, as the run itself does.
    """
    reader = EventReader(run_id)
    pause = SHORTEST_POLL
    while not picture.has_ended:
        pause = min(pause * 1.5, LONGEST_POLL)
        try:
            for event in reader.news():
                picture.add(event)
                pause = SHORTEST_POLL
        except DATABASE_ERRORS as error:
            connection.close()
            if (outage := outage_of(error)) is None:
                raise
            picture.reason = f"{outage.text} It is tried again until it works."
        yield
        if not picture.has_ended:
            time.sleep(pause)
