"""Caps: how much a run, with all the runs below it, may take of steps, sub-runs, depth, time, tokens and money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, NamedTuple, Self

MICROUSD = 1_000_000
TOLD = ("steps", "depth", "children", "seconds", "tokens", "usd")
"""The names of caps as they are told and stored."""


class Amounts(NamedTuple):
    """Quantities of what is shared by a tree: recorded, reserved or wanted. Money is in millionths of a US dollar."""

    steps: int = 0
    children: int = 0
    tokens: int = 0
    microusd: int = 0

    def plus(self, other: Amounts) -> Amounts:
        """Add up."""
        return Amounts(*(a + b for a, b in zip(self, other, strict=True)))


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Caps:
    """What a tree of runs may take at most; None where nothing is said. `seconds` run from when it is due."""

    steps: int | None = None
    depth: int | None = None
    children: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    microusd: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> Self:
        """Read them as they are stored and told, money as `usd`; what is no number from zero says nothing."""
        told = told or {}
        known = {name: _number(told.get(name)) for name in TOLD if name != "usd"}
        usd = _number(told.get("usd"))
        counts: dict[str, Any] = {
            name: value if name == "seconds" or value is None else int(value) for name, value in known.items()
        }
        return cls(**counts, microusd=None if usd is None else round(usd * MICROUSD))

    def told(self) -> dict[str, float]:
        """Give them as they are stored and told; empty if nothing is capped."""
        told = {name: getattr(self, name) for name in _NAMES if name != "microusd" and getattr(self, name) is not None}
        return told if self.microusd is None else {**told, "usd": self.microusd / MICROUSD}

    def lowered_by(self, other: Caps) -> Caps:
        """Give the lower of both, each."""
        return Caps(*(_least(getattr(self, name), getattr(other, name)) for name in _NAMES))

    def or_else(self, other: Caps) -> Caps:
        """Give the other's where these say nothing."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in _NAMES)
        return Caps(*(mine if mine is not None else others for mine, others in pairs))

    @property
    def shared(self) -> tuple[int | None, ...]:
        """Those of what is reserved, in the order of Amounts."""
        return self.steps, self.children, self.tokens, self.microusd


_NAMES = tuple(field.name for field in fields(Caps))

STANDARD = Caps(steps=100_000, depth=10, children=20_000)
"""What holds where nobody has said anything: far beyond what is meant, it ends what runs away."""


def lowest(all_caps: Iterable[Caps]) -> Caps:
    """Give the lowest of each."""
    found = Caps()
    for caps in all_caps:
        found = found.lowered_by(caps)
    return found


def spent(caps: Caps, amounts: Amounts) -> str:
    """Give the name of a cap that is used up by so much; an empty text if none is."""
    for kind, most, amount in zip(Amounts._fields, caps.shared, amounts, strict=True):
        if most is not None and amount >= most:
            return kind
    return ""


def in_words(kind: str, caps: Caps, amounts: Amounts, whose: str) -> str:
    """Say that a cap of somebody is used up by so much."""
    most, taken = dict(zip(Amounts._fields, caps.shared, strict=True))[kind] or 0, getattr(amounts, kind)
    match kind:
        case "microusd":
            budget = f"The budget of {most / MICROUSD:.2f} USD of {whose} is used up"
            return f"{budget}: {taken / MICROUSD:.4f} USD were spent."
        case "tokens":
            return f"The {most:,} tokens that {whose} may use are used up: {taken:,} were used."
        case "steps":
            return f"The {most:,} steps that {whose} may take are used up: {taken:,} were taken."
        case _:
            return f"The {most:,} sub-runs that {whose} may start are used up: {taken:,} were started."


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    return value if is_number and value >= 0 else None


def _least(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
