"""docs/faults.md and the tests say the same: what is claimed to be covered is, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
NUMBERS = range(1, 51)
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \|$", re.MULTILINE)
CITED = re.compile(r"`(tests/[\w/]+\.py::\w+)`")


@dataclass(frozen=True)
class Line:
    """One line of the page: what must hold, and which tests show it."""

    number: int
    text: str
    covered: str

    @property
    def tests(self) -> frozenset[str]:
        return frozenset(CITED.findall(self.covered))

    @property
    def is_well_formed(self) -> bool:
        """Either "later", or tests separated by commas, and perhaps what is missing."""
        tests = self.covered.partition("; missing: ")[0]
        is_listed = all(CITED.fullmatch(test) for test in tests.split(", "))
        return "→" in self.text and (is_listed or self.covered == "later")


@cache
def lines() -> list[Line]:
    return [Line(int(number), text, covered) for number, text, covered in ROW.findall(PAGE.read_text())]


def named() -> set[tuple[int, str]]:
    """Give the tests that the page names, each with its line's number."""
    return {(line.number, test) for line in lines() for test in line.tests}


@cache
def carried() -> set[tuple[int, str]]:
    """Give the numbers that the tests' markers carry, each with its test."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                test = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
                found |= {(number, test) for number in numbers_of(node)}
    return found


def numbers_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_each_line_is_there_once_and_in_order() -> None:
    assert [line.number for line in lines()] == list(NUMBERS)


def test_each_line_says_what_must_hold_and_how_it_is_covered() -> None:
    assert [line.number for line in lines() if not line.is_well_formed] == []


def test_what_a_line_names_is_a_test_that_carries_its_number() -> None:
    assert named() - carried() == set(), "no such test, or it lacks the marker"


def test_what_carries_a_number_is_named_by_its_line() -> None:
    assert carried() - named() == set(), "the page does not know of these"
