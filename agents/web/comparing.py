"""Two runs side by side: their steps by key, what is the same, what changed and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import blake2b
from typing import Any, Literal

from django.db.models import TextField
from django.db.models.functions import Cast

from agents.engine.origins import COPIED, FORK_KEY
from agents.models import Run, Step
from agents.models.step import BOOKKEEPING
from agents.services.outcomes import outcome_of
from agents.web import timeline, wording

MAX_STEPS = 1_000
MAX_DIFFS = 20
"""Changed steps whose differences are shown at once; the others each by themselves."""
MAX_LINES, MAX_LINE = 400, 400
CONTEXT = 2
_UNTOLD = ("native", "usage", "model", "finish", "context", "output", "call_id", "name", "role", "step_key", "cached")
"""What of an outcome tells nothing about what came out."""

Same = Literal["same", "changed", "left", "right"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference: there before, there now, or in both."""

    tone: Literal["gone", "new", "both", "cut"]
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A step as both runs have it, or one of them."""

    key: str
    state: Same
    icon: str
    label: str
    name: str
    left: Step | None
    right: Step | None
    input: tuple[Line, ...] = ()
    outcome: tuple[Line, ...] = ()
    note: str = ""
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, their steps in order, and what came of them."""

    pairs: tuple[Pair, ...]
    counts: dict[str, int]
    input: tuple[Line, ...]
    output: tuple[Line, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class _Known:
    step: Step
    input: bytes
    outcome: bytes


def compare(left: Run, right: Run, chosen: str = "") -> Comparison:
    """Compare two runs; differences are shown of the first steps that changed, and of the chosen one."""
    ours, theirs = _known(left), _known(right)
    keys = _in_order(list(ours), list(theirs))
    told = 0
    pairs: list[Pair] = []
    for key in keys:
        state = _state(ours.get(key), theirs.get(key))
        is_told = state == "changed" and (told < MAX_DIFFS or key == chosen)
        told += is_told
        pairs.append(_pair(key, state, ours.get(key), theirs.get(key), is_told=is_told))
    return Comparison(
        pairs=tuple(pairs),
        counts={state: sum(pair.state == state for pair in pairs) for state in ("same", "changed", "left", "right")},
        input=diff(left.input, right.input),
        output=diff(left.output, right.output),
        hidden=sum(max(0, _steps(run).count() - MAX_STEPS) for run in (left, right)),
    )


def diff(before: Any, after: Any) -> tuple[Line, ...]:
    """Give the lines in which two values differ, with a few around them; none if they are the same."""
    if before == after:
        return ()
    lines = list(unified_diff(_lines(before), _lines(after), lineterm="", n=CONTEXT))[2:]
    shown = [_line(text) for text in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(Line("cut", f"… {len(lines) - MAX_LINES:,} more lines"))
    return tuple(shown)


def _steps(run: Run) -> Any:
    return Step.objects.filter(run_id=run.id, superseded=False).exclude(kind__in=BOOKKEEPING).exclude(key=FORK_KEY)


def _known(run: Run) -> dict[str, _Known]:
    """Read the steps of a run with marks of what they were asked and gave, not with all of it."""
    steps = (
        _steps(run)
        .order_by("started_at", "id")
        .annotate(given_text=Cast("input", TextField()), outcome_text=Cast("outcome", TextField()))
    )
    found: dict[str, _Known] = {}
    for step in steps.defer("input", "outcome", "attempts")[:MAX_STEPS].iterator(chunk_size=50):
        given, outcome = step.given_text or "", step.outcome_text or ""
        if step.kind == "call":
            given = _call_input(given)
        elif step.large is not None:
            outcome = json.dumps(outcome_of(step))
        found[step.key] = _Known(step, _mark(given), _mark(outcome))
        del step.given_text, step.outcome_text
    return found


def _call_input(text: str) -> str:
    """Give what a sub-run was asked, without its id, which is another one each time."""
    asked = json.loads(text) if text else None
    return json.dumps(asked.get("input")) if isinstance(asked, dict) else text


def _mark(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _state(left: _Known | None, right: _Known | None) -> Same:
    if left is None or right is None:
        return "right" if left is None else "left"
    is_same = (left.input, left.outcome, left.step.status) == (right.input, right.outcome, right.step.status)
    return "same" if is_same and not _asks_otherwise(left.step, right.step) else "changed"


def _asks_otherwise(left: Step, right: Step) -> bool:
    """Whether the steps were asked different things, by their digests; a copy that was not reached yet has none."""
    return COPIED not in (left.digest, right.digest) and left.digest != right.digest


def _pair(key: str, state: Same, left: _Known | None, right: _Known | None, *, is_told: bool) -> Pair:
    known = right or left
    assert known is not None  # noqa: S101 (the key is of one of them)
    step = known.step
    pair = Pair(
        key=key,
        state=state,
        icon=timeline.icon_of(step),
        label=wording.KINDS.get(step.label or step.kind, step.kind.capitalize()),
        name=timeline.name_of(step),
        left=left.step if left else None,
        right=right.step if right else None,
    )
    if not is_told or left is None or right is None:
        return pair
    given = diff(*(_asked(side.step) for side in (left, right)))
    note = "" if given or not _asks_otherwise(left.step, right.step) else "It was asked with what changed before it."
    outcome = diff(*(_came_out(side.step) for side in (left, right)))
    return Pair(
        **{name: getattr(pair, name) for name in ("key", "state", "icon", "label", "name", "left", "right")},
        input=given,
        outcome=outcome,
        note=note,
        is_told=True,
    )


def _asked(step: Step) -> Any:
    asked = step.input
    return asked.get("input") if step.kind == "call" and isinstance(asked, dict) else asked


def _came_out(step: Step) -> Any:
    return {"error": step.error} if step.error else outcome_of(step)


def _in_order(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Merge the keys of both: in the order of the right one, those of the left alone where they stand there."""
    places, known = {key: place for place, key in enumerate(left)}, set(right)
    ordered: list[str] = []
    at = 0
    for key in right:
        if (place := places.get(key, -1)) >= at:
            ordered += [other for other in left[at:place] if other not in known]
            at = place + 1
        ordered.append(key)
    return ordered + [other for other in left[at:] if other not in known]


def _lines(value: Any) -> list[str]:
    """Write a value in lines: its text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value.splitlines()
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        rest = {name: item for name, item in value.items() if name != "text" and name not in _UNTOLD and _tells(item)}
        return [*value["text"].splitlines(), *(_json_lines(rest) if rest else ())]
    return _json_lines(value)


def _tells(item: Any) -> bool:
    return item not in (None, "", [], {}, True)


def _json_lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).splitlines()


def _line(text: str) -> Line:
    mark, rest = text[:1], text[1 : MAX_LINE + 1]
    if text.startswith("@@"):
        return Line("cut", "…")
    return Line("gone" if mark == "-" else "new" if mark == "+" else "both", rest)
