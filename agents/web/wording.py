"""Numbers, spans and states in words, short enough for a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.timesince import timesince

from agents.models import Run, RunStatus, Wanted

KINDS = {
    "think": "Think",
    "analyze": "Analyze",
    "reflect": "Reflect",
    "continue": "Continue",
    "search": "Search",
    "act": "Act",
    "tool": "Tool",
    "step": "Step",
    "sleep": "Sleep",
    "approve": "Approval",
    "ask": "Question",
    "call": "Sub-run",
    "each": "Sub-runs",
    "spawn": "Sub-run",
    "run": "Sub-run",
    "artifact": "File",
    "emit": "Progress",
    "fork": "Fork",
    "wait_event": "Wait",
    "emit_event": "Tell",
}


@dataclass(frozen=True, slots=True)
class State:
    """A status as it is shown: never by colour alone."""

    tone: str
    """Name of the colour and the icon."""
    word: str
    detail: str = ""


def duration(seconds: float | None) -> str:
    """Write a span: 8 ms, 1.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def money(microusd: int | None) -> str:
    """Write an amount in dollars with two digits that count; unknown prices as a dash."""
    if microusd is None:
        return "–"
    if microusd == 0:
        return "$0"
    dollars = microusd / 1_000_000
    if dollars >= 0.1:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if dollars >= 0.0001 else "<$0.0001"


def cost(microusd: int | None, is_priced: bool = True) -> str:
    """Write what something cost. Where prices are unknown no amount is made up: it is the least that it cost."""
    if microusd is not None and is_priced:
        return money(microusd)
    return f"at least {money(microusd)}" if microusd else "unknown"


def count(number: int | None) -> str:
    """Write a large number short: 950, 12.3k, 4.1M."""
    if number is None:
        return "–"
    for limit, unit in ((1_000_000, "M"), (10_000, "k")):
        if number >= limit:
            return f"{number / (1_000_000 if unit == 'M' else 1000):.1f}{unit}"
    return f"{number:,}"


CAPS = {"depth": "nesting", "children": "sub-runs", "seconds": "time", "usd": "money"}


def cap_name(name: str) -> str:
    """Name what a cap is on."""
    return CAPS.get(name, name)


def cap_amount(name: str, amount: float) -> str:
    """Write an amount of what a cap is on."""
    if name == "seconds":
        return duration(amount)
    return money(round(amount * 1_000_000)) if name == "usd" else count(int(amount))


def size(number: int) -> str:
    """Write a number of bytes."""
    value = float(number)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Write how long ago something was, or in how long it will be."""
    now = now or timezone.now()
    gap = now - moment
    if abs(gap) < timedelta(seconds=5):
        return "now"
    if abs(gap) < timedelta(minutes=1):
        words = f"{abs(gap).seconds} s"
    else:
        words = timesince(min(moment, now), max(moment, now), depth=1).replace("\xa0", " ")
        words = words.replace(" minutes", " min").replace(" minute", " min")
        words = words.replace(" hours", " h").replace(" hour", " h")
    return f"{words} ago" if gap > timedelta(0) else f"in {words}"


def absolute(moment: datetime) -> str:
    """Write a moment in full, in the reader's zone."""
    return timezone.localtime(moment).strftime("%-d %B %Y, %H:%M:%S %Z")


_OUTCOMES = {
    "held": ("waiting", "held"),
    "started": ("succeeded", "started"),
    "woke": ("succeeded", "woke"),
    "skipped": ("cancelled", "skipped"),
    "failed": ("failed", "failed"),
}


def event_outcome(status: str, number: int = 1) -> tuple[str, str]:
    """Say what came of an event, and how often: the name of the colour and the icon, and the word."""
    tone, word = _OUTCOMES[status]
    return tone, f"{word} {count(number)}" if number > 1 else word


def run_state(run: Run) -> State:
    """Say how a run is doing, with what was asked of it."""
    status = RunStatus(run.status)
    if status not in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED) and run.wanted == Wanted.CANCEL:
        return State("stopping", "Stopping", "Asked to stop; what runs now is being interrupted.")
    if status == RunStatus.RUNNING and run.wanted == Wanted.PAUSE:
        return State("waiting", "Pausing", "It will pause when its current steps are done.")
    if status == RunStatus.WAITING and run.reason.startswith("paused"):
        return State("paused", "Paused", run.reason.removeprefix("paused").lstrip(" :,"))
    return State(status.value, status.label.capitalize(), _detail(status, run.reason))


def _detail(status: RunStatus, reason: str) -> str:
    """Drop from a reason the word that stands before it anyway."""
    for prefix in (f"{status.value}: ", status.value):
        if reason.lower().startswith(prefix):
            return reason[len(prefix) :].strip()
    return reason
