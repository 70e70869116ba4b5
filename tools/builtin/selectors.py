"""CSS selectors over a parsed page, in time that grows with the page alone.

Translated to XPath, a selector like `* ~ *` takes minutes on a page made for it, and a thread that computes can't be
stopped. Here each step of a selector is one walk through the elements in the order of the document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cssselect import parse
from cssselect.parser import (
    Attrib,
    Class,
    CombinedSelector,
    Element,
    Function,
    Hash,
    Matching,
    Negation,
    Pseudo,
    SelectorError,
    parse_series,
)

MAX_WORK = 3_000_000
"""Looks at elements, for all selectors on one page together: some seconds."""
MAX_STEPS = 12

Node = Any
"""An element of lxml, which has no types."""


class BadSelector(ValueError):
    """This is no selector, or one of a kind that is not supported."""


class TooMuchWork(ValueError):
    """The page is too large for what is asked of it."""


@dataclass(slots=True)
class Budget:
    """How much may still be looked at."""

    left: int = MAX_WORK

    def take(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise TooMuchWork("the page is too large for so many selectors")


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector, read: of each alternative the steps from left to right, (how it joins, what must be true)."""

    text: str
    alternatives: tuple[tuple[tuple[str, Any], ...], ...]

    @classmethod
    def read(cls, text: str) -> Selector:
        """Read a selector; raises BadSelector."""
        try:
            read = tuple(tuple(_steps(one.parsed_tree)) for one in parse(text))
            if any(one.pseudo_element for one in parse(text)):
                raise BadSelector("pseudo-elements select nothing that can be read")
        except (SelectorError, RecursionError) as error:
            raise BadSelector(str(error)) from error
        for steps in read:
            if len(steps) > MAX_STEPS:
                raise BadSelector(f"it has more than {MAX_STEPS} steps")
            for _, test in steps:
                _check(test)
        return cls(text, read)

    def find(self, root: Node, budget: Budget) -> list[Node]:
        """Give the elements at and below the root that match, in the order of the document."""
        order = [element for element in root.iter() if isinstance(element.tag, str)]
        walk = _Walk(root, order, budget)
        found = {element for steps in self.alternatives for element in walk.follow(steps)}
        return [element for element in order if element in found]


@dataclass(slots=True)
class _Walk:
    root: Node
    order: list[Node]
    budget: Budget
    _places: dict[Node, tuple[int, int, int, int]] = field(default_factory=dict)

    def follow(self, steps: tuple[tuple[str, Any], ...]) -> set[Node]:
        current = {element for element in self._all() if self.matches(element, steps[0][1])}
        for join, test in steps[1:]:
            reached = self._reached(join, current)
            current = {element for element in self._all() if element in reached and self.matches(element, test)}
        return current

    def matches(self, element: Node, test: Any) -> bool:
        """Tell whether an element is what one step asks for."""
        match test:
            case Element():
                return test.element in (None, "*") or element.tag == test.element.lower()
            case Hash():
                return element.get("id") == test.id and self.matches(element, test.selector)
            case Class():
                names = (element.get("class") or "").split()
                return test.class_name in names and self.matches(element, test.selector)
            case Attrib():
                return _has_attribute(element, test) and self.matches(element, test.selector)
            case Negation():
                return self.matches(element, test.selector) and not self.matches(element, test.subselector)
            case Matching():
                any_of = any(self.matches(element, one) for one in test.selector_list)
                return any_of and self.matches(element, test.selector)
            case Pseudo() | Function():
                return self.matches(element, test.selector) and self._is_at(element, test)
        raise AssertionError(test)  # _check has let it through.

    def _all(self) -> list[Node]:
        self.budget.take(len(self.order))
        return self.order

    def _reached(self, join: str, current: set[Node]) -> set[Node]:
        """Give the elements that stand in this relation to one of the current."""
        reached: set[Node] = set()
        for element in self._all():
            if element is self.root:
                continue
            near = element.getparent() if join in (" ", ">") else _before(element)
            if near is not None and (near in current or (join in (" ", "~") and near in reached)):
                reached.add(element)
        return reached

    def _is_at(self, element: Node, test: Any) -> bool:
        """Tell whether an element's place among its siblings is the one that is asked for."""
        from_start, from_end, of_type, of_type_from_end = self._place(element)
        name = test.ident if isinstance(test, Pseudo) else test.name
        match name:
            case "first-child":
                return from_start == 1
            case "last-child":
                return from_end == 1
            case "only-child":
                return from_start == from_end == 1
            case "first-of-type":
                return of_type == 1
            case "last-of-type":
                return of_type_from_end == 1
            case "empty":
                return len(element) == 0 and not (element.text or "")
        step, offset = parse_series(test.arguments)
        place = {"nth-child": from_start, "nth-last-child": from_end, "nth-of-type": of_type}[name]
        return place == offset if step == 0 else (place - offset) % step == 0 and (place - offset) // step >= 0

    def _place(self, element: Node) -> tuple[int, int, int, int]:
        if element not in self._places:
            parent = element.getparent()
            siblings = [element] if parent is None else [one for one in parent if isinstance(one.tag, str)]
            self.budget.take(len(siblings))
            kinds: dict[str, int] = {}
            for one in siblings:
                kinds[one.tag] = kinds.get(one.tag, 0) + 1
            seen: dict[str, int] = {}
            for number, one in enumerate(siblings, 1):
                seen[one.tag] = seen.get(one.tag, 0) + 1
                behind = kinds[one.tag] - seen[one.tag] + 1
                self._places[one] = (number, len(siblings) - number + 1, seen[one.tag], behind)
        return self._places[element]


def _steps(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, CombinedSelector):
        yield from _steps(tree.selector)
        yield tree.combinator, tree.subselector
    else:
        yield " ", tree


_PLACES = ("first-child", "last-child", "only-child", "first-of-type", "last-of-type", "empty")
_SERIES = ("nth-child", "nth-last-child", "nth-of-type")
_OPERATORS = ("exists", "=", "~=", "|=", "^=", "$=", "*=", "!=")


def _check(test: Any) -> None:
    """Raise BadSelector for what `matches` does not know."""
    inner: list[Any] = []
    match test:
        case Element():
            return
        case Hash() | Class():
            inner = [test.selector]
        case Attrib() if test.operator in _OPERATORS:
            inner = [test.selector]
        case Negation():
            inner = [test.selector, test.subselector]
        case Matching():
            inner = [test.selector, *test.selector_list]
        case Pseudo() if test.ident in _PLACES:
            inner = [test.selector]
        case Function() if test.name in _SERIES:
            try:
                parse_series(test.arguments)
            except ValueError as error:
                raise BadSelector(f"{test.name}() has no such series") from error
            inner = [test.selector]
        case _:
            raise BadSelector(f"{_name(test)} is not supported")
    for one in inner:
        _check(one)


def _name(test: Any) -> str:
    return f":{getattr(test, 'ident', None) or getattr(test, 'name', None) or type(test).__name__.lower()}"


def _has_attribute(element: Node, test: Attrib) -> bool:
    value = element.get(test.attrib.lower())
    wanted = test.value.value if test.value is not None else ""
    if value is None:
        return test.operator == "!="
    match test.operator:
        case "exists":
            return True
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case "~=":
            return wanted in value.split()
        case "|=":
            return bool(value == wanted or value.startswith(f"{wanted}-"))
    if not wanted:
        return False
    return bool({"^=": value.startswith(wanted), "$=": value.endswith(wanted), "*=": wanted in value}[test.operator])


def _before(element: Node) -> Node:
    before = element.getprevious()
    while before is not None and not isinstance(before.tag, str):
        before = before.getprevious()
    return before
