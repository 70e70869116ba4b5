"""The flow control of a subscription in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agents.triggers.flow import BadFlow, Quota, read_rules
from agents.web.wording import count, duration

_NOTHING_MORE = re.compile(r" 00? (s|min|h)$")
_OVERLAPS = {
    "skip": "While an earlier run goes on, an event starts nothing.",
    "queue": "One run at a time: an event waits until the run before has ended.",
    "cancel": "One run at a time: a later event cancels the run before.",
}


def flow_words(flow: Mapping[str, Any]) -> list[str]:
    """Say what a flow control does, a sentence for each of its parts; nothing if each event starts a run at once."""
    try:
        return list(_words(flow))
    except BadFlow as error:
        return [f"It can't be read: {error}"]


def _words(flow: Mapping[str, Any]) -> Iterator[str]:
    rules = read_rules(flow)
    if rules.debounce:
        longest = f", at the longest {_span(rules.debounce.longest)}" if rules.debounce.longest else ""
        yield f"Waits until none came for {_span(rules.debounce.seconds)}{longest}; the last one starts a run."
    if rules.batch:
        yield f"One run for {count(rules.batch.count)} events, or for all of {_span(rules.batch.seconds)}."
    if rules.overlap in _OVERLAPS:
        yield _OVERLAPS[rules.overlap]
    if rules.rate:
        yield f"{_at_most(rules.rate)}; what comes beyond that is skipped."
    if rules.throttle:
        yield f"{_at_most(rules.throttle)}; what comes beyond that waits."
    if rules.key is not None and not rules.is_idle:
        yield f"All this for each {flow['key']} by itself."


def _at_most(quota: Quota) -> str:
    return f"At most {count(quota.count)} run{'' if quota.count == 1 else 's'} in {_span(quota.seconds)}"


def _span(seconds: float) -> str:
    return _NOTHING_MORE.sub("", duration(seconds).replace(".0 s", " s"))
