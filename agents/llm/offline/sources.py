"""What the tools have found so far in a conversation, as passages that may be quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.engine.messages import Citation, Message, ToolCall, ToolResult
from agents.engine.ports import DELEGATE_TO, REVIEW_DRAFT

_CUT = "\n\n[Cut here: "
"""Where a tool has cut a long text; what follows is the tool's word, not the source's."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a source, verbatim."""

    source: str
    title: str
    locator: str
    text: str

    def cite(self, quote: str) -> Citation:
        """Make the citation of a quote from this passage."""
        return Citation(source=self.source, title=self.title, quote=quote, locator=self.locator)


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim stretch of a passage."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Report:
    """What another agent has answered to a goal that was handed to it."""

    goal: str
    text: str
    passages: tuple[Passage, ...]


@dataclass(slots=True)
class Findings:
    """What was called in this turn and what came of it."""

    goal: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    searched: bool = False
    sums: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    """What a reviewer wants to have changed."""

    def has_called(self, name: str) -> bool:
        """Was this tool called before?"""
        return any(call.name == name for call in self.calls)

    @property
    def size(self) -> int:
        """Give how many characters there are to read."""
        return sum(len(passage.text) for passage in self.passages)


def read_conversation(messages: Sequence[Message]) -> Findings:
    """Give what the last thing the user said has led to."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    findings = Findings(goal=messages[last].text if last >= 0 else "")
    seen: set[tuple[str, str]] = set()
    for message in messages[last + 1 :]:
        findings.calls.extend(message.tool_calls)
        if message.role == "tool":
            _take(message, findings, seen)
    return findings


def _take(message: Message, findings: Findings, seen: set[tuple[str, str]]) -> None:
    if isinstance(message, ToolResult) and not message.ok:
        findings.failures.append((message.name, message.text.strip()))
        return
    if message.name == REVIEW_DRAFT:
        findings.points = [line[2:] for line in message.text.splitlines() if line.startswith("- ")]
    elif message.name.startswith(DELEGATE_TO):
        goal = next((str(c.arguments.get("goal", "")) for c in findings.calls if c.id == message.call_id), "")
        findings.reports.append(Report(goal, message.text, tuple(_quoted(message))))
        return
    elif message.name == "calculate":
        findings.sums.append(message.text.strip())
    elif message.name == "wait":
        findings.waits.append(message.text.strip())
    elif message.name == "search_documents":
        findings.searched = True
    for passage in _passages(message):
        if message.name == "web_fetch":
            findings.fetched.append(passage.source)
        if (passage.source, passage.text) not in seen:
            seen.add((passage.source, passage.text))
            findings.passages.append(passage)


def _quoted(message: Message) -> list[Passage]:
    """Give the passages that another agent quotes; its own words are no source."""
    cited = message.citations if isinstance(message, ToolResult) else ()
    return [Passage(c.source, c.title, c.locator, c.quote) for c in cited if c.quote]


def _passages(message: Message) -> list[Passage]:
    if not isinstance(message, ToolResult):
        return []
    return [
        # A citation without a quote stands for the whole text.
        Passage(c.source, c.title, c.locator, c.quote or message.text.split(_CUT)[0])
        for c in message.citations
    ]
