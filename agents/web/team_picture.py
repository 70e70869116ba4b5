"""A picture of who may give work to whom: boxes in columns, from those who give to those who get."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

MAX_BOXES = 60
"""More than that is no picture any more."""
_HEIGHT, _ROW, _GAP, _MARGIN = 34, 48, 72, 8
_BELOW = 34
_LETTER, _PADDING, _MOST_LETTERS = 7.4, 24, 26


@dataclass(frozen=True, slots=True)
class Box:
    """An agent, or its part in a workflow, which `note` says. `name` is empty where no agent stands behind it."""

    key: str
    label: str
    name: str = ""
    note: str = ""
    is_known: bool = True
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = _HEIGHT

    @property
    def middle(self) -> int:
        return self.y + self.height // 2

    @property
    def text_y(self) -> int:
        """The line on which the label stands."""
        return self.middle + (-2 if self.note else 5)

    @property
    def note_y(self) -> int:
        return self.middle + 13

    @property
    def text_x(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """A way that work goes; one that goes back, or to a neighbour, is drawn around."""

    path: str
    is_back: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and arrows with their places, in units of a screen's points."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: int
    height: int
    words: str
    """The same for those who do not see it."""


def team_picture(below: Mapping[str, Iterable[str]], known: Collection[str]) -> Picture | None:
    """Draw agents by whom each may give work to; None if nobody gives any, or they are too many."""
    ways = {name: list(dict.fromkeys(names)) for name, names in below.items() if names}
    names = list(dict.fromkeys((*ways, *(name for names in ways.values() for name in names))))
    if not ways or len(names) > MAX_BOXES:
        return None
    columns = _columns(names, ways)
    boxes = [[Box(name, name, name, is_known=name in known) for name in column] for column in columns]
    edges = [(giver, getter) for giver, getters in ways.items() for getter in getters]
    words = "; ".join(f"{giver} may give work to {', '.join(getters)}" for giver, getters in ways.items())
    return draw(boxes, edges, words)


def draw(columns: Iterable[Iterable[Box]], edges: Iterable[tuple[str, str]], words: str) -> Picture:
    """Place boxes in columns and join them by arrows, which name the boxes by their keys."""
    placed: dict[str, Box] = {}
    rows = [list(column) for column in columns]
    tallest = max(len(column) for column in rows)
    height = _HEIGHT + 10 if any(box.note for column in rows for box in column) else _HEIGHT
    step = _ROW + height - _HEIGHT
    left = _MARGIN
    for column in rows:
        width = max(_width(box) for box in column)
        top = _MARGIN + (tallest - len(column)) * step // 2
        for row, box in enumerate(column):
            placed[box.key] = replace(box, x=left, y=top + row * step, width=width, height=height)
        left += width + _GAP
    arrows = tuple(_arrow(placed[giver], placed[getter]) for giver, getter in edges)
    # What is drawn around stands out a little on the right and below.
    around = 32 if any(arrow.is_back for arrow in arrows) else 0
    return Picture(
        boxes=tuple(placed.values()),
        arrows=arrows,
        width=left - _GAP + _MARGIN + around,
        height=tallest * step - (step - height) + 2 * _MARGIN + around,
        words=words,
    )


def _columns(names: list[str], ways: Mapping[str, list[str]]) -> list[list[str]]:
    """Give each a column to the right of the nearest who gives to them, beginning with those whom nobody gives to."""
    given = {name for giver, getters in ways.items() for name in getters if name != giver}
    place: dict[str, int] = {}
    # In a circle nobody is first: then whoever was named first is.
    for first in [*(name for name in names if name not in given), *names]:
        if first in place:
            continue
        place[first] = 0
        row = [first]
        while row:
            name = row.pop(0)
            for getter in ways.get(name, ()):
                if getter not in place:
                    place[getter] = place[name] + 1
                    row.append(getter)
    columns: list[list[str]] = [[] for _ in range(max(place.values()) + 1)]
    for name in names:
        columns[place[name]].append(name)
    return columns


def _width(box: Box) -> int:
    letters = max(min(len(box.label), _MOST_LETTERS), len(box.note) * 0.85)
    return int(letters * _LETTER) + _PADDING


def _arrow(giver: Box, getter: Box) -> Arrow:
    start, end = giver.x + giver.width, getter.x
    if end > start:
        bend = (end - start) // 2
        path = f"M{start} {giver.middle}C{start + bend} {giver.middle} {end - bend} {getter.middle} {end - 5} "
        return Arrow(f"{path}{getter.middle}", is_back=False)
    if getter.x < giver.x:
        # Back to an earlier column: below the boxes, which would be in the way.
        low = max(giver.y + giver.height, getter.y + getter.height) + _BELOW
        foot, head = giver.y + giver.height, getter.y + getter.height
        return Arrow(
            f"M{giver.text_x} {foot}C{giver.text_x} {low} {getter.text_x} {low} {getter.text_x} {head + 5}",
            is_back=True,
        )
    side = giver.x + giver.width
    back = getter.x + getter.width
    out = max(side, back) + 28
    rise = 12 if giver.key == getter.key else 0
    path = f"M{side} {giver.middle - rise}C{out} {giver.middle - rise} {out} {getter.middle + rise} {back + 5} "
    return Arrow(f"{path}{getter.middle + rise}", is_back=True)
