"""What the offline model does next: call tools, or answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

from agents.engine.messages import ToolCall
from agents.engine.ports import DELEGATE_TO, ToolSpec
from agents.llm.offline.answer import unanswered
from agents.llm.offline.goal import NAME_WEIGHT, Goal, Question
from agents.llm.offline.roles import task_goals
from agents.llm.offline.sources import Findings
from agents.llm.offline.words import MEASURES

FETCH, SEARCH, SUM, WAIT = "web_fetch", "search_documents", "calculate", "wait"
MAX_SECOND_QUERIES = 6

Wish = tuple[str, str, object]
"""A tool, its argument's name, and its value."""


def next_calls(goal: Goal, findings: Findings, tools: Sequence[ToolSpec]) -> list[ToolCall]:
    """Give the calls to make now; none means that it is time to answer."""
    offered = {tool.name for tool in tools}
    delegates = [tool.name for tool in tools if tool.name.startswith(DELEGATE_TO) and "goal" in _fields(tool)]
    phases = (
        _handed_on(goal, delegates) if delegates and offered.isdisjoint((SEARCH, FETCH)) else _phases(goal, findings)
    )
    for phase in phases:
        wishes = [wish for wish in phase if wish[0] in offered and not _is_done(wish, findings)]
        if wishes:
            made = len(findings.calls)
            return [ToolCall(f"offline-{made + i}", name, {key: value}) for i, (name, key, value) in enumerate(wishes)]
    return []


def _handed_on(goal: Goal, delegates: Sequence[str]) -> Iterable[list[Wish]]:
    """Hand the parts of the goal to other agents, in turns: who can't look anything up has others do it."""
    yield [(name, "goal", text) for name, (_, text) in zip(cycle(delegates), task_goals(goal), strict=False)]


def _fields(tool: ToolSpec) -> Mapping[str, object]:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def say_calls(calls: Iterable[ToolCall]) -> str:
    """Say in a line what is being done."""
    return " ".join(_say(call) for call in calls)


def _phases(goal: Goal, findings: Findings) -> Iterable[list[Wish]]:
    """Give what to do in turns; each turn looks at what the ones before have found."""
    pause: list[Wish] = [] if goal.wait_seconds is None else [(WAIT, "seconds", goal.wait_seconds)]
    if goal.wait_first:
        yield pause
    first: list[Wish] = [(FETCH, "url", url) for url in goal.urls]
    first += [(SUM, "expression", expression) for expression in goal.expressions]
    if not goal.urls or goal.names_documents:
        first += _searches(goal.questions)
    yield first
    if goal.questions:
        # Pages named in the goal did not answer everything, or the words were not those of the documents.
        open_questions = [question for question in unanswered(goal, findings) if question.query]
        yield _searches(open_questions)
        yield _single_words(open_questions)
    if not goal.wait_first:
        yield pause


def _searches(questions: Iterable[Question]) -> list[Wish]:
    return [(SEARCH, "query", question.query) for question in questions if question.query]


def _single_words(questions: Iterable[Question]) -> list[Wish]:
    """Look for the weightiest words one by one: some searches want all words of a query in one place."""
    queries: dict[str, None] = {}
    for question in questions:
        telling = sorted(
            (t for t in question.terms if t.weight >= NAME_WEIGHT and t.surface not in MEASURES),
            key=lambda t: not t.required,
        )
        queries |= dict.fromkeys(term.surface for term in telling[:3])
    return [(SEARCH, "query", query) for query in list(queries)[:MAX_SECOND_QUERIES]]


def _is_done(wish: Wish, findings: Findings) -> bool:
    name, key, value = wish
    return any(call.name == name and call.arguments.get(key) == value for call in findings.calls)


def _say(call: ToolCall) -> str:
    value = next(iter(call.arguments.values()), "")
    match call.name:
        case "web_fetch":
            return f"Fetching {value}."
        case "search_documents":
            return f"Searching the documents for “{value}”."
        case "calculate":
            return f"Calculating {value}."
        case name if name.startswith(DELEGATE_TO):
            return f"Handing on: {value}"
        case _:
            return f"Waiting {value:g} seconds." if isinstance(value, float) else f"Calling {call.name}."
