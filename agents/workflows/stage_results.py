"""What the stages of a pipeline come to, as those that follow are given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.definitions.template import as_text
from agents.engine.canonical import JSON
from agents.workflows.delegating import citations_of, text_of
from agents.workflows.sub_runs import Outcome

DONE, SKIPPED, LEFT_OUT = "done", "skipped", "left out"
Result = dict[str, Any]
"""State, text, value, output and citations; the run of an agent; why nothing came of it; list and items of a map."""


def result_of(outcome: Outcome) -> Result:
    """Give what came of an agent's run. `value` is an answer that has a form; of one in words it is null."""
    if outcome.error:
        return {**nothing(LEFT_OUT, outcome.why), "run": outcome.run}
    output = outcome.output
    if isinstance(output, dict) and isinstance(output.get("text"), str):
        value = output.get("value")
    else:
        value = None if isinstance(output, str) else output
    cited = [citation.to_json() for citation in citations_of(output, outcome.run)]
    return {**_came(text_of(output), value, output, cited), "run": outcome.run}


def joined(value: JSON) -> Result:
    """Give what came of values put together."""
    return _came(as_text(value), None if isinstance(value, str) else value, value, [])


def mapped(items: Sequence[JSON], results: Sequence[Result]) -> Result:
    """Put together what came of a list's items; as a text, each stands below its item where that is one too."""
    done = [(item, one) for item, one in zip(items, results, strict=True) if one["state"] == DONE]
    parts = [f"**{item}**\n\n{one['text']}" if isinstance(item, str) else str(one["text"]) for item, one in done]
    came = _came("\n\n".join(parts), None, None, []) if done or not items else nothing(LEFT_OUT, _all_failed(results))
    texts, values = [one["text"] for one in results], [one["value"] for one in results]
    return {**came, "list": list(items), "items": list(results), "texts": texts, "values": values}


def nothing(state: str, why: str) -> Result:
    """Say that nothing came of it, and why."""
    return {"state": state, "text": None, "value": None, "output": None, "citations": [], "why": why}


def _came(text: str, value: JSON, output: JSON, citations: list[JSON]) -> Result:
    return {"state": DONE, "text": text, "value": value, "output": output, "citations": citations}


def _all_failed(results: Sequence[Result]) -> str:
    return f"All {len(results)} items failed. {results[0]['why']}"
