"""What the pages' templates say with tags: icons, times, amounts, states."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import structlog
from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents.models import Run
from agents.services.timed import plain_words_of
from agents.web import detail, icons, tables, timed, timeline, wording

register = template.Library()

register.simple_tag(icons.icon, name="icon")
register.filter("duration", wording.duration)
register.filter("money", wording.money)
register.filter("cost", wording.cost)
register.filter("count", wording.count)
register.filter("size", wording.size)
register.filter("cap_name", wording.cap_name)
register.filter("timed_state", timed.state_of)
register.filter("timed_words", plain_words_of)
register.filter("cap_amount", wording.cap_amount)
register.filter("absolute", wording.absolute)
register.filter("short_key", timeline.short_key)

MAX_JSON = 20_000
_HEADINGS = re.compile(r"^#{1,6}\s+", re.MULTILINE)


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """Say how long ago, with the moment itself as title."""
    if moment is None:
        return "–"
    iso, title, words = moment.isoformat(), wording.absolute(moment), wording.ago(moment)
    return format_html('<time datetime="{}" title="{}" data-ago>{}</time>', iso, title, words)


@register.simple_tag
def status(run: Run) -> SafeString:
    """Show how a run is doing: icon and word."""
    return badge(*(lambda state: (state.tone, state.word))(wording.run_state(run)))


@register.simple_tag
def badge(tone: str, word: str) -> SafeString:
    """Show a state: icon and word."""
    return format_html('<span class="state state-{}">{}<span>{}</span></span>', tone, icons.icon(tone), word)


@register.simple_tag
def outcome(status: str, count: int = 1) -> SafeString:
    """Show what came of an event: icon and word."""
    return badge(*wording.event_outcome(status, count))


@register.simple_tag
def elapsed(run: Run) -> str:
    """Say how long a run has been at work, from its first start to its end or to now."""
    if run.started_at is None:
        return ""
    return wording.duration(((run.finished_at or timezone.now()) - run.started_at).total_seconds())


@register.filter
def step_link(key: str) -> str:
    """Give the address of a step, relative to its run's page."""
    return detail.step_link(key)


@register.filter
def state_of(run: Run) -> wording.State:
    """Give how a run is doing."""
    return wording.run_state(run)


@register.filter
def since(moment: datetime) -> float:
    """Give the seconds since a moment."""
    return (timezone.now() - moment).total_seconds()


@register.filter
def millis(moment: datetime | None) -> str:
    """Give a moment as the page's scripts count: milliseconds since 1970."""
    return "" if moment is None else str(round(moment.timestamp() * 1000))


@register.filter
def pretty(value: Any) -> str:
    """Write a JSON value for reading."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    cut = len(text) - MAX_JSON
    return text if cut <= 0 else f"{text[:MAX_JSON]}\n… {cut:,} more characters"


@register.filter
def compact(value: Any) -> str:
    """Write a JSON value in one line."""
    return json.dumps(value, ensure_ascii=False, default=str)[:MAX_JSON]


@register.filter
def plain(value: Any) -> str:
    """Write a JSON value on its own: a text as it is, anything else as JSON."""
    return value[:MAX_JSON] if isinstance(value, str) else pretty(value)


@register.filter
def excerpt(text: str) -> str:
    """Give a passage without the marks of its headings."""
    return _HEADINGS.sub("", text)


@register.filter
def pairs(value: Any) -> list[tuple[str, Any]]:
    """Give names and values of an object; none of anything else."""
    return list(value.items()) if isinstance(value, dict) else []


@register.filter
def as_table(value: Any) -> tables.Table | None:
    """Give a list of plain objects as a table; None for anything else, which is better shown as JSON."""
    return tables.table_of(value)


@register.filter
def item(mapping: Mapping[str, Any], name: str) -> Any:
    """Give what an object has under a name, None if there is nothing."""
    return mapping.get(name)


@register.filter
def is_list(value: Any) -> bool:
    """Whether a value is a list."""
    return isinstance(value, list)


@register.filter
def cut_underscores(name: str) -> str:
    """Write a field's name as words."""
    return name.replace("_", " ")


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Give the page's query string with some values changed; an empty value takes its name away."""
    values = context["request"].GET.copy()
    values.pop("part", None)
    for name, value in changes.items():
        values.pop(name, None)
        if value not in (None, ""):
            values[name] = str(value)
    return f"?{urlencode(list(values.items()))}" if values else "?"


@register.simple_tag
def request_id() -> str:
    """Give the id under which the logs know this request."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Give the theme that was chosen with the toggle, empty to follow the system."""
    request: HttpRequest | None = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    return chosen if chosen in ("light", "dark") else ""
