"""Flow control of a subscription: how many events of a key lead to how many runs, and when.

Pure functions. The events of a key wait in a line; `advance` says what becomes of those at its front, now. Stages in
their order:

- gathering: `debounce` waits until no event came for some seconds and starts one run for the last of them; `batch`
  waits for n events, or some seconds, and starts one run for all of them. Without either each event stands alone.
- `overlap`, while an earlier run of the key goes on: allow, skip (no run), queue (wait for its end), cancel (end it).
- `rate`: at most n runs within any so many seconds; what comes beyond that is skipped.
- `throttle`: the same, but what comes beyond that waits until it has room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from agents.triggers.paths import Path, parse_path

Overlap = Literal["allow", "skip", "queue", "cancel"]

MAX_SECONDS = 30 * 24 * 3600
MAX_COUNT = 1_000
MAX_BATCH = 500


class BadFlow(ValueError):
    """This is no flow control. `field` names what is wrong."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Quota:
    """So many within any so many seconds."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Debounce:
    """Wait until none came for `seconds`, but not longer than `longest` after the first; 0: as long as it takes."""

    seconds: float
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """The flow control of a subscription. `key` is the path to what tells events apart; None: all are of one key."""

    key: Path | None = None
    debounce: Debounce | None = None
    batch: Quota | None = None
    overlap: Overlap = "allow"
    rate: Quota | None = None
    throttle: Quota | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is controlled: each event starts a run at once."""
        return not (self.debounce or self.batch or self.rate or self.throttle) and self.overlap == "allow"


@dataclass(frozen=True, slots=True)
class Line:
    """The events of a key that are held, by the seconds at which they came; `more` wait behind those looked at."""

    came: Sequence[float]
    more: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a key: since when a debounce gathers, and when runs were started."""

    since: float | None = None
    started: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Start a run with the next `count` events of the line; first end those that go on if `cancels`."""

    count: int
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Start nothing for the next `count` events of the line."""

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Advance:
    """What becomes of the line. `due` is when to look again; `waits_for_end` when an earlier run has ended."""

    actions: tuple[Start | Skip, ...]
    state: State
    due: float | None = None
    waits_for_end: bool = False


def read_rules(flow: Any) -> Rules:
    """Read flow control from its JSON form; raises BadFlow."""
    if not isinstance(flow, dict):
        raise BadFlow('This is an object, as {"key": "data.user", "debounce": {"seconds": 30}}.')
    known = ("key", "debounce", "batch", "overlap", "rate", "throttle")
    if unknown := sorted(set(flow) - set(known)):
        raise BadFlow(f"There is no {unknown[0][:50]!r}. There are: {', '.join(known)}.")
    overlap = flow.get("overlap", "allow")
    if overlap not in get_args(Overlap):
        raise BadFlow(f"Choose one of: {', '.join(get_args(Overlap))}.", "overlap")
    if flow.get("debounce") and flow.get("batch"):
        raise BadFlow("Events are debounced or batched, not both.", "batch")
    return Rules(
        key=_key(flow.get("key")),
        debounce=_debounce(flow.get("debounce")),
        batch=_quota(flow.get("batch"), "batch", MAX_BATCH),
        overlap=overlap,
        rate=_quota(flow.get("rate"), "rate"),
        throttle=_quota(flow.get("throttle"), "throttle"),
    )


def advance(rules: Rules, state: State, line: Line, active: int, now: float) -> Advance:
    """Say what becomes of the events at the front of the line, while `active` earlier runs of the key go on."""
    course = _Course(rules, state, active, now)
    came = list(line.came)
    while came:
        count, due = _ready(rules, course.state, came, now)
        if count == 0:
            return course.pause(due=due)
        if rules.debounce and count > 1:
            # Only the last counts; the line is not looked at beyond what `line` has.
            course.actions.append(Skip(count - 1, "a later event took its place"))
            came, count = came[count - 1 :], 1
            if line.more:
                return course.pause(due=now)
            continue
        if (pause := course.take(count)) is not None:
            return pause
        came = came[count:]
    return course.pause(due=now if line.more else None)


def arrived(rules: Rules, state: State, now: float) -> State:
    """Note that an event has come to the line."""
    if rules.debounce and state.since is None:
        return replace(state, since=now)
    return state


@dataclass(slots=True)
class _Course:
    """How far a line has been worked off."""

    rules: Rules
    state: State
    active: int
    now: float
    actions: list[Start | Skip] = field(default_factory=list)

    def take(self, count: int) -> Advance | None:
        """Take the next group of so many events; gives the pause if it has to wait."""
        rules, has_active = self.rules, self.active > 0
        if has_active and rules.overlap == "queue":
            return self.pause(waits_for_end=True)
        if has_active and rules.overlap == "skip":
            self._skip(count, "an earlier run still goes on")
            return None
        longest = max((quota.seconds for quota in (rules.rate, rules.throttle) if quota), default=0.0)
        started = tuple(at for at in self.state.started if at > self.now - longest)
        if rules.rate and _room_at(rules.rate, started) > self.now:
            self._skip(count, f"the rate is {rules.rate.count} in {rules.rate.seconds:g} s")
            return None
        if rules.throttle and (room := _room_at(rules.throttle, started)) > self.now:
            return self.pause(due=room)
        self.actions.append(Start(count, cancels=has_active and rules.overlap == "cancel"))
        self.active = 1 if rules.overlap == "cancel" else self.active + 1
        most = max((quota.count for quota in (rules.rate, rules.throttle) if quota), default=0)
        self.state = State(None, (*started, self.now)[-most:] if most else ())
        return None

    def _skip(self, count: int, reason: str) -> None:
        self.actions.append(Skip(count, reason))
        self.state = replace(self.state, since=None)

    def pause(self, *, due: float | None = None, waits_for_end: bool = False) -> Advance:
        return Advance(tuple(self.actions), self.state, due, waits_for_end)


def _ready(rules: Rules, state: State, came: Sequence[float], now: float) -> tuple[int, float | None]:
    """Give how many events at the front make a group now; 0, and when that may change."""
    if rules.debounce:
        due = came[-1] + rules.debounce.seconds
        if rules.debounce.longest:
            since = state.since if state.since is not None else came[0]
            due = min(due, since + rules.debounce.longest)
        # All but the last go at once: the line stays short, however many come.
        return (len(came) if len(came) > 1 or due <= now else 0), due
    if rules.batch:
        if len(came) >= rules.batch.count:
            return rules.batch.count, None
        due = came[0] + rules.batch.seconds
        return (len(came) if due <= now else 0), due
    return 1, None


def _room_at(quota: Quota, started: Sequence[float]) -> float:
    """Give when a quota has room for one more."""
    recent = started[-quota.count :]
    return recent[0] + quota.seconds if len(recent) == quota.count else float("-inf")


def _key(key: Any) -> Path | None:
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        raise BadFlow("A key is a path, as data.user.", "key")
    try:
        path = parse_path(key)
    except ValueError as error:
        raise BadFlow(str(error), "key") from error
    if "*" in path:
        raise BadFlow("A key leads to one value: there is no * in it.", "key")
    return path


def _debounce(value: Any) -> Debounce | None:
    if value is None:
        return None
    _check_fields(value, "debounce", ("seconds", "longest"))
    seconds = _seconds(value.get("seconds"), "debounce.seconds")
    longest = _seconds(value["longest"], "debounce.longest") if value.get("longest") else 0.0
    if longest and longest < seconds:
        raise BadFlow("The longest wait is at least as long as the quiet that is waited for.", "debounce.longest")
    return Debounce(seconds, longest)


def _quota(value: Any, name: str, most: int = MAX_COUNT) -> Quota | None:
    if value is None:
        return None
    _check_fields(value, name, ("count", "seconds"))
    count = value.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        raise BadFlow(f"This is a whole number from 1 to {most:,}.", f"{name}.count")
    return Quota(count, _seconds(value.get("seconds"), f"{name}.seconds"))


def _check_fields(value: Mapping[str, Any] | Any, name: str, known: tuple[str, ...]) -> None:
    if not isinstance(value, dict) or set(value) - set(known):
        raise BadFlow(f"This is an object with: {', '.join(known)}.", name)


def _seconds(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS:
        raise BadFlow(f"This is a number of seconds, more than 0 and at most {MAX_SECONDS:,}.", field)
    return float(value)
