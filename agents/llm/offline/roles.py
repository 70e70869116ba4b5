"""The parts that the offline model plays in a team where an answer with a form is asked: planner and reviewer.

Which one, the form tells: a plan has tasks, a verdict has points. The writer's part is in reports.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from agents.engine.canonical import JSON
from agents.engine.messages import Message, Reply
from agents.llm.offline.goal import Goal, Question, read_goal
from agents.llm.offline.wording import LEAD, NOTHING_FOUND, WITHOUT_SOURCE, heading, shortened

MAX_POINTS = 20

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\](?!\()")
_QUOTED = re.compile(r"[\"“][^\"“”]+[\"”]\s*(?:\[\d[\d,\s]*\]\s*)+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?!\[)")
_HEADING = re.compile(r"#{1,6}\s|\*\*[^\n]+\*\*$")
_LISTED = re.compile(r"^(?:\*\*Sources\*\*|#+\s*Sources|Sources:)\s*$", re.MULTILINE)
_SAYS_SO = (NOTHING_FOUND.lower(), "the tool `", "nothing was found", "the sources do not", "no source")
"""How a sentence begins that tells what is missing: that stands in no source."""
_KINDS = {
    "web": frozenset(
        ["web", "page", "pages", "address", "addresses", "site", "sites", "website", "websites", "scrape"]
    ),
    "sum": frozenset(["calculate", "calculates", "calculation", "arithmetic", "sum", "sums", "tool", "tools"]),
    "documents": frozenset(
        ["document", "documents", "question", "questions", "answer", "answers", "research", "researcher", "notes"]
    ),
}


def fill_form(form: Mapping[str, Any], messages: Sequence[Message]) -> JSON:
    """Give the answer that a form asks for; None if it is none of those that the rules know."""
    fields = form.get("properties", {})
    if "tasks" in fields:
        return {"tasks": plan_tasks(fields["tasks"], messages)}
    if "points" in fields and "ok" in fields:
        points = review(messages)
        return {"ok": not points, "points": points}
    return None


def fill_text(form: Mapping[str, Any], text: str) -> JSON:
    """Give an answer in words in a form that has one place for it; None if there is none, or more must be known."""
    fields = form.get("properties", {})
    needed = form.get("required", [])
    texts = [name for name, field in fields.items() if isinstance(field, Mapping) and field.get("type") == "string"]
    places = [name for name in texts if name in needed] or texts[:1]
    return {places[0]: text} if len(places) == 1 and set(needed) <= {places[0]} else None


def plan_tasks(form: Mapping[str, Any], messages: Sequence[Message]) -> list[JSON]:
    """Split the goal into its questions, addresses and sums: a task for each, for the agent it fits best."""
    said = [message.text for message in messages if message.role == "user"]
    if len(said) > 1:
        # A plan was made and did not work out; other words for the same questions are not in the rules.
        return []
    goals = list(task_goals(read_goal(said[0])))
    most = int(form.get("maxItems", len(goals)))
    if len(goals) > most:
        goals[most - 1 :] = [("documents", " ".join(text for _, text in goals[most - 1 :]))]
    agents = {name: _described(name, messages[0].text) for name in form["items"]["properties"]["agent"]["enum"]}
    given = dict.fromkeys(agents, 0)
    tasks: list[JSON] = []
    for number, (kind, text) in zip(count(1), goals, strict=False):
        agent = min(agents, key=lambda name: (-len(_KINDS[kind] & agents[name]), given[name]))
        given[agent] += 1
        tasks.append({"id": f"task-{number}", "agent": agent, "goal": text, "needs": []})
    return tasks


def task_goals(goal: Goal) -> Iterator[tuple[str, str]]:
    """Give the parts of a goal, each with the kind of work it is and in words that stand alone."""
    places = "".join(f" {url}" for url in goal.urls)
    for question in goal.questions:
        yield ("web" if places else "documents"), f"{_standing_alone(question)}{places}"
    if goal.urls and not goal.questions:
        yield from (("web", f"Summarise {url}") for url in goal.urls)
    yield from (("sum", f"Calculate {expression}") for expression in goal.expressions)
    if goal.wait_seconds is not None:
        yield "sum", f"Wait {goal.wait_seconds:g} seconds"
    if not (goal.questions or goal.urls or goal.expressions or goal.wait_seconds is not None):
        yield "documents", goal.text


def review(messages: Sequence[Message]) -> list[str]:
    """Check that each sentence of the draft has its source; give what has to be changed."""
    draft = next(message for message in reversed(messages) if message.role == "assistant" and not message.tool_calls)
    text = _LISTED.split(draft.text)[0]
    known = len(draft.citations) if isinstance(draft, Reply) else 0
    numbers = {int(number) for marks in _MARK.findall(text) for number in marks.split(",")}
    points = [f"There is no source [{number}]." for number in sorted(numbers) if not 1 <= number <= known]
    points += [f"No source is cited for: “{shortened(sentence)}”" for sentence in _unsourced(text)]
    return points[:MAX_POINTS]


def _unsourced(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        paragraph = paragraph.strip().removeprefix("> ")
        if paragraph == heading(WITHOUT_SOURCE):
            # What follows says of itself that it has none.
            return
        if paragraph == LEAD or _HEADING.match(paragraph):
            continue
        for sentence in _SENTENCE.split(_QUOTED.sub("", paragraph)):
            is_said = any(character.isalnum() for character in sentence)
            if is_said and not _MARK.search(sentence) and not sentence.lower().lstrip("*_ ").startswith(_SAYS_SO):
                yield sentence


def _standing_alone(question: Question) -> str:
    """Give a question with the words that it owes to the one before: nobody else has heard that."""
    lowered = question.text.lower()
    carried = [term.surface for term in question.terms if term.surface.lower() not in lowered]
    text = question.text.rstrip(" ?.!")
    asked = f"{text} ({' '.join(carried)})" if carried else text
    return f"{asked}?" if question.text.rstrip().endswith("?") else asked


def _described(name: str, instructions: str) -> frozenset[str]:
    """Give the words that a planner was told about an agent."""
    line = re.search(rf"^- {re.escape(name)}(?:: (.*))?$", instructions, re.MULTILINE)
    return frozenset(re.findall(r"[a-z]+", f"{name} {line[1] or ''}".lower() if line else name.lower()))
