"""Plans: what the runs of a chaos are to do, made from a seed, and which results their workflow must give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

WORKFLOWS = ("chaos", "chaos", "chaos-undone")


@dataclass(frozen=True, slots=True)
class Steering:
    """What the client does to a run, each at so many seconds after its start; None: not at all.

    `gives_up` lets a person give up on unsafe steps of unknown outcome that have not happened, the first time.
    """

    pause: float | None
    pause_for: float
    cancel: float | None
    retry_cancelled: bool
    early_messages: bool
    gives_up: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be started, and what is done to it."""

    number: int
    workflow: str
    plan: Any
    priority: int
    steering: Steering


def order(seed: int, number: int) -> Order:
    """Give the order of this number: the same for the same seed."""
    random = Random(f"chaos {seed} {number}")
    plan = _Author(random).write()
    steering = Steering(
        pause=random.uniform(0.0, 3.0) if random.random() < 0.2 else None,
        pause_for=random.uniform(0.2, 3.0),
        cancel=random.uniform(0.0, 4.0) if random.random() < 0.15 else None,
        retry_cancelled=random.random() < 0.5,
        early_messages=random.random() < 0.5,
        gives_up=random.random() < 0.3,
    )
    return Order(number, random.choice(WORKFLOWS), plan, random.choice((0, 0, 0, -2, 2)), steering)


class _Author:
    """Writes one plan; names are unique within a run, so each step's name tells its place in the plan."""

    def __init__(self, random: Random, depth: int = 0) -> None:
        self._random = random
        self._depth = depth
        self._count = 0

    def write(self) -> Any:
        parts = [self._part(0) for _ in range(self._random.randint(1, 4 if self._depth == 0 else 2))]
        if self._depth == 0 and self._random.random() < 0.15:
            mended = {"do": "mended", "name": self._name("mended"), "retries": self._random.randint(1, 2)}
            parts.insert(self._random.randint(0, len(parts)), mended)
        return {"do": "sequence", "of": parts}

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _part(self, nesting: int) -> Any:
        simple: list[tuple[Callable[[], Any], int]] = [
            (self._safe, 10),
            (self._unsafe, 5),
            (self._sleep, 3),
            (self._event, 2),
            (self._broken, 1),
            (self._large, 1),
        ]
        parallel: list[tuple[Callable[[], Any], int]] = [
            (lambda: self._branches("all", nesting), 4),
            (lambda: self._branches("map", nesting), 2),
            (lambda: self._branches("as they come", nesting), 1),
            (lambda: self._branches("race", nesting), 2),
            (lambda: self._timeout(nesting), 1),
        ]
        subruns: list[tuple[Callable[[], Any], int]] = [(self._join, 1), (self._spawn, 1)]
        chosen = (
            simple
            + (parallel if nesting < (2 if self._depth == 0 else 1) else [])
            + (subruns if self._depth < 2 else [])
        )
        return self._random.choices([make for make, _ in chosen], [weight for _, weight in chosen])[0]()

    def _safe(self) -> Any:
        return {
            "do": "safe",
            "name": self._name("safe"),
            "ms": self._random.choice((0, 5, 50, 150, 400)),
            "fails": self._random.choice((0, 0, 0, 0, 1, 2)),
            "in_thread": self._random.random() < 0.2,
        }

    def _unsafe(self) -> Any:
        raises = self._random.choice(("", "", "", "", "", "", "before", "after"))
        return {
            "do": "unsafe",
            "name": self._name("unsafe"),
            "ms": self._random.choice((0, 50, 150, 400)),
            "raises": raises,
        }

    def _sleep(self) -> Any:
        return {"do": "sleep", "seconds": self._random.choice((0.05, 0.3, 1.0, 2.5, 4.0))}

    def _event(self) -> Any:
        return {"do": "event", "name": self._name("event")}

    def _broken(self) -> Any:
        return {"do": "broken", "name": self._name("broken"), "attempts": self._random.choice((1, 3))}

    def _large(self) -> Any:
        return {"do": "large", "name": self._name("large")}

    def _branches(self, do: str, nesting: int) -> Any:
        count = self._random.randint(2, 4)
        return {"do": do, "of": [self._branch(nesting) for _ in range(count)]}

    def _branch(self, nesting: int) -> Any:
        parts = [self._part(nesting + 1) for _ in range(self._random.randint(1, 2))]
        return {"do": "sequence", "of": parts}

    def _timeout(self, nesting: int) -> Any:
        return {"do": "timeout", "seconds": self._random.choice((0.3, 2.0)), "of": self._branch(nesting)}

    def _join(self) -> Any:
        return {"do": "join", "of": [self._subrun() for _ in range(self._random.randint(1, 3))]}

    def _spawn(self) -> Any:
        return {"do": "spawn", **self._subrun(), "name": self._name("between"), "ms": 20}

    def _subrun(self) -> Any:
        plan = _Author(self._random, self._depth + 1).write()
        return {"workflow": self._random.choice(WORKFLOWS), "plan": plan}


def agrees(node: Any, result: Any) -> bool:
    """Whether this is a result that the plan may have."""
    match node["do"]:
        case "sequence" | "all" | "map" | "as they come":
            return _agree(node["of"], result)
        case "join":
            return _agree([part["plan"] for part in node["of"]], result)
        case "race":
            return agrees(node["of"][result["winner"]], result["gave"])
        case "timeout":
            return result == "timed out" or agrees(node["of"], result)
        case "spawn":
            between, gave = result
            return bool(between == node["name"]) and agrees(node["plan"], gave)
        case "sleep":
            return bool(result == "slept")
        case "event":
            return bool(result == message_for(node["name"]))
        case "broken":
            return bool(result == {"failed": node["name"]})
        case _:
            return bool(result == node["name"])


def _agree(nodes: list[Any], results: Any) -> bool:
    is_list = isinstance(results, list) and len(results) == len(nodes)
    return is_list and all(agrees(node, result) for node, result in zip(nodes, results, strict=True))


def message_for(name: str) -> Any:
    """Give what the client tells a run that waits for the event of this name."""
    return {"event": name}


def first_events(plan: Any) -> Iterator[str]:
    """Give the keys of the events that a plan waits for outside of its branches."""
    for part in plan["of"]:
        if part["do"] == "event":
            yield f"event:{part['name']}#0"


def name_in(key: str) -> str:
    """Give the name of an event or step in its key."""
    return key.rpartition("/")[2].rpartition("#")[0].removeprefix("event:")
