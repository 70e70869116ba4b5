"""One step, or the answer, as the right-hand side of a run's page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.urls import reverse
from django.utils.safestring import SafeString

from agents.engine.deciding import decision_name
from agents.engine.progress import PROGRESS
from agents.models import ENDED, Artifact, ProcessCall, Run, RunEvent, Step, StepStatus, Wait, Workspace
from agents.services.outcomes import EDITABLE, outcome_of
from agents.web import queries, timeline, wording
from agents.web.files import file_of_step
from agents.web.markdown import render_answer
from tools.registry import registry

_EFFECTS = {
    "none": "No effect outside",
    "idempotent": "Safe to repeat",
    "unsafe": "Acts outside, never repeated unasked",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that a model asked for."""

    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Said:
    """A message of what a model was given."""

    role: str
    text: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class StepDetail:
    """All that is known about a step."""

    step: Step
    icon: str
    label: str
    name: str
    tone: str
    word: str
    effect: str
    text: str = ""
    streamed_attempt: int = 0
    calls: tuple[Call, ...] = ()
    conversation: tuple[Said, ...] = ()
    after: str = ""
    arguments: Any = None
    result: Any = None
    failed: bool = False
    is_untrusted: bool = False
    is_cached: bool = False
    model: str = ""
    finish: str = ""
    citations: tuple[Source, ...] = ()
    child: Run | None = None
    file: Artifact | None = None
    call: ProcessCall | None = None
    progress: RunEvent | None = None
    events: list[RunEvent] = field(default_factory=list)
    is_copied: bool = False
    edited_by: str = ""

    @property
    def can_fork(self) -> bool:
        """Whether a fork may go on from here."""
        return self.step.kind not in ("fork", "emit") and not self.step.superseded

    @property
    def can_edit(self) -> bool:
        """Whether a fork may have something else come out of it."""
        return self.can_fork and self.step.kind in EDITABLE

    @property
    def is_live(self) -> bool:
        return self.tone in ("running", "retrying")

    @property
    def version(self) -> str:
        """Tells the page's script whether it shows this state already."""
        last = self.progress.number if self.progress is not None else 0
        return f"{self.step.key}:{self.step.pk}:{self.step.status}:{self.step.attempt}:{self.tone}:{last}"


@dataclass(frozen=True, slots=True)
class Source:
    """A source that is cited: from where, which step read it, and what is quoted under which numbers."""

    title: str
    locator: str
    url: str
    is_outside: bool
    step: str
    is_removed: bool
    quotes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run has come to."""

    html: SafeString | None
    text: str
    data: Any
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """A question that only a person can answer, with the possible answers."""

    key: str
    title: str
    explanation: str
    choices: tuple[tuple[str, str, str], ...]
    takes_outcome: bool


def step_link(key: str) -> str:
    """Give the address of a step, relative to its run's page."""
    return f"?{urlencode({'step': key})}"


def describe_step(
    run: Run, step: Step, call: ProcessCall | None = None, copied_until: datetime | None = None
) -> StepDetail:
    """Gather what there is to show of a step; `call` is its process, if it has one at present.

    What ended before `copied_until` a fork has from its origin.
    """
    tone, word = timeline.step_state(step, run, is_apart=call is not None and call.started_at is not None)
    events = queries.events_of_step(run, step.key)
    outcome = outcome_of(step)
    values: dict[str, Any] = {}
    if step.kind in ("think", "compact"):
        values = _think(step, outcome)
    elif step.kind == "tool":
        values = _tool(run, step, outcome)
    else:
        values = {"arguments": step.input, "result": outcome}
    if not values.get("text"):
        values["text"], values["streamed_attempt"] = _streamed(run, step)
    return StepDetail(
        step=step,
        icon=timeline.icon_of(step),
        label=wording.KINDS.get(step.label or step.kind, step.kind.capitalize()),
        name=timeline.name_of(step),
        tone=tone,
        word=word,
        effect=_effect(step),
        child=queries.child_of(run, step) if step.kind in ("call", "spawn") else None,
        file=file_of_step(run, step.key) if step.kind in ("tool", "artifact") else None,
        call=call,
        progress=_progress(step, events),
        events=events,
        is_copied=timeline.is_copied(step, copied_until),
        edited_by=_edited_by(run, step, copied_until),
        **values,
    )


def _edited_by(run: Run, step: Step, copied_until: datetime | None) -> str:
    """Name who wrote the outcome of a step at the fork."""
    is_written = timeline.is_copied(step, copied_until) and timeline.is_edited(step, run)
    return str(run.fork["by"]) if is_written else ""


def _progress(step: Step, events: Sequence[RunEvent]) -> RunEvent | None:
    """Give how far a step has come that is not done."""
    if step.status != StepStatus.RUNNING:
        return None
    told = [event for event in events if event.kind == PROGRESS and event.data.get("attempt") == step.attempt]
    return told[-1] if told else None


def _effect(step: Step) -> str:
    words = _EFFECTS.get(step.effect, step.effect)
    if step.effect != "unsafe":
        return words
    state = {"succeeded": "done", "unknown": "unknown", "failed": "failed"}.get(str(step.status), "not known yet")
    return f"{words}; {state}"


def _think(step: Step, outcome: Any) -> dict[str, Any]:
    given = step.input if isinstance(step.input, dict) else {}
    values: dict[str, Any] = {
        "conversation": tuple(_said(message) for message in given.get("messages", ()) if isinstance(message, dict)),
        "after": str(given.get("after", "")),
    }
    if isinstance(outcome, dict):
        calls = [call for call in outcome.get("tool_calls") or () if isinstance(call, dict)]
        values |= {
            "text": str(outcome.get("text") or ""),
            "calls": tuple(Call(str(call.get("name", "")), call.get("arguments")) for call in calls),
            "model": str(outcome.get("model") or ""),
            "finish": str(outcome.get("finish") or ""),
        }
    return values


def _said(message: Mapping[str, Any]) -> Said:
    return Said(str(message.get("role", "")), str(message.get("text", "")), str(message.get("step", "")))


def _tool(run: Run, step: Step, outcome: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "arguments": step.input,
        "is_untrusted": step.name in registry and registry.get(step.name).trust == "untrusted",
    }
    if isinstance(outcome, dict):
        values |= {
            "text": str(outcome.get("text") or ""),
            "result": outcome.get("data"),
            "failed": outcome.get("ok") is False,
            "is_cached": outcome.get("cached") is True,
            "citations": _sources(run.workspace, outcome.get("citations")),
        }
    return values


def _streamed(run: Run, step: Step) -> tuple[str, int]:
    """Give the text that was streamed: of a step that ended half-way it is kept with its error."""
    if isinstance(step.error, dict) and step.error.get("partial"):
        return str(step.error["partial"]), step.attempt
    if step.status in (StepStatus.SUCCEEDED, StepStatus.FAILED):
        return "", 0
    return queries.streamed_text(run, step.key)


def describe_answer(run: Run, *, page: str = "") -> Answer | None:
    """Gather what a run has come to; None while it goes on, or if it came to nothing.

    Steps are linked within the run's own page; where the answer stands elsewhere, `page` is that page's address.
    """
    output = run.output
    if run.status not in ENDED or output is None:
        return None
    if isinstance(output, str):
        return Answer(render_answer(output), output, None, ())
    if isinstance(output, dict) and isinstance(output.get("text"), str):
        sources = _sources(run.workspace, output.get("citations"))
        if "value" in output:
            return Answer(None, output["text"], output["value"], sources)
        links = [f"{page}{link}" if link.startswith("?") else link for link in _links(sources)]
        return Answer(render_answer(output["text"], links), output["text"], None, sources)
    return Answer(None, "", output, ())


def _sources(workspace: Workspace, citations: Any) -> tuple[Source, ...]:
    listed = [c for c in citations if isinstance(c, dict)] if isinstance(citations, list) else []
    ids = [found for found in (_document_id(c) for c in listed) if found is not None]
    titles = queries.titles_of(workspace, ids) if ids else {}
    quotes: dict[Source, list[tuple[int, str]]] = {}
    for number, citation in enumerate(listed[:200], 1):
        source = _source(workspace, citation, titles)
        quotes.setdefault(source, []).append((number, str(citation.get("quote", ""))))
    return tuple(replace(source, quotes=tuple(found)) for source, found in quotes.items())


def _links(sources: Sequence[Source]) -> list[str]:
    """Give what [1], [2] … lead to: the step that read the source, else the source."""
    links = {number: step_link(s.step) if s.step else s.url for s in sources for number, _ in s.quotes}
    return [links[number] for number in sorted(links)]


def _source(workspace: Workspace, citation: Mapping[str, Any], titles: Mapping[int, str]) -> Source:
    address = str(citation.get("source", ""))
    document = _document_id(citation)
    url, is_removed, title = "", False, str(citation.get("title", ""))
    if document is not None:
        is_removed = document not in titles
        title = title or titles.get(document, address)
        if not is_removed:
            url = reverse("web:document", args=(workspace.slug, document))
    elif address.lower().startswith(("http://", "https://")):
        url = address
    return Source(
        title=title or address,
        locator=_place(url, citation) if document is None else "",
        url=url,
        is_outside=document is None and bool(url),
        step=str(citation.get("step", "")),
        is_removed=is_removed,
    )


def _place(url: str, citation: Mapping[str, Any]) -> str:
    """Name the host of an outside source: a title can claim anything."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return host or str(citation.get("locator", ""))


def _document_id(citation: Mapping[str, Any]) -> int | None:
    kind, _, number = str(citation.get("source", "")).partition(":")
    return int(number) if kind == "document" and number.isdecimal() and len(number) < 18 else None


def decisions_of(waits: list[Wait]) -> list[Decision]:
    """Give the questions that a run has for a person."""
    return [_decision(wait) for wait in waits if wait.kind in queries.DECISIONS]


def _decision(wait: Wait) -> Decision:
    key = wait.key.removeprefix(decision_name(""))
    name = wait.name or key
    if wait.kind == "changed":
        return Decision(
            key=key,
            title=f"The workflow has changed at {name}",
            explanation=(
                "The recorded step was asked for with another input than the code now asks for. "
                "Nothing goes on until you say which counts."
            ),
            choices=(
                ("reuse", "Use the recorded outcome", "Goes on as if nothing had changed."),
                ("rerun", "Run again from here", "This step and what came after it are done once more."),
                ("give_up", "Give up", "The run fails at this step."),
            ),
            takes_outcome=False,
        )
    return Decision(
        key=key,
        title=f"It is not known whether {name} was done",
        explanation=(
            "The step acts outside and was interrupted before its outcome was recorded. "
            "Look where it acts, then say what became of it: repeating it unasked could do harm."
        ),
        choices=(
            ("done", "It was done", "The run goes on and does not repeat it."),
            ("retry", "It was not done, try again", "The step is executed once more."),
            ("give_up", "Give up", "The step counts as failed."),
        ),
        takes_outcome=True,
    )
