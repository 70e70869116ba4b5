"""Breadth-first exploration: every state once, and the shortest way to one that breaks a rule."""

from __future__ import annotations

import gc
from array import array
from dataclasses import dataclass, field
from itertools import pairwise

from tests.protocol.invariants import check_move, check_state, is_at_rest
from tests.protocol.scenario import Scenario
from tests.protocol.state import World, tidy
from tests.protocol.tables import Violation
from tests.protocol.world import moves


@dataclass
class Found:
    """What an exploration found. `steps` is the shortest way to the violation."""

    scenario: str
    states: int = 0
    transitions: int = 0
    depth: int = 0
    is_complete: bool = False
    violation: str = ""
    steps: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = "all" if self.is_complete else "not all"
        verdict = "VIOLATION" if self.violation else "no violation"
        text = f"{self.scenario}: {self.states} states, {self.transitions} transitions, depth {self.depth}, {how}"
        text += f": {verdict}"
        if self.violation:
            text += "".join(f"\n  {i}. {step}" for i, step in enumerate(self.steps, 1)) + f"\n  ⇒ {self.violation}"
        return text


class Exploration:
    """The states seen so far, numbered in the order of their discovery."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.numbers: dict[World, int] = {}
        self.parents = array("l")
        self.froms = array("l")
        self.tos = array("l")
        self.resting: list[int] = []

    def run(self, depth: int = 0, most: int = 0) -> Found:
        """Explore to this depth and number of states (0: to the end)."""
        found = Found(self.scenario.name)
        first = tidy(self.scenario.begin(), self.scenario.is_symmetric)
        self._add(first, -1)
        front = [first]
        while front and not (depth and found.depth >= depth) and not (most and len(self.numbers) >= most):
            next_front: list[World] = []
            for world in front:
                if self._expand(world, next_front, found):
                    break
            if found.violation:
                break
            front = next_front
            found.depth += bool(front)
        found.is_complete = not front
        found.states = len(self.numbers)
        if found.is_complete and not found.violation:
            self._check_progress(found)
        return found

    def _add(self, world: World, parent: int) -> int:
        number = self.numbers[world] = len(self.numbers)
        self.parents.append(parent)
        if is_at_rest(world):
            self.resting.append(number)
        return number

    def _expand(self, world: World, front: list[World], found: Found) -> bool:
        """Make all moves from a state; True at a violation."""
        number = self.numbers[world]
        label = ""
        try:
            for label, is_system, after in moves(world, self.scenario):
                found.transitions += 1
                known = self.numbers.get(after)
                check_move(label, world, after)
                if known is None:
                    check_state(after)
                    known = self._add(after, number)
                    front.append(after)
                if is_system:
                    self.froms.append(number)
                    self.tos.append(known)
        except Violation as violation:
            found.violation = str(violation)
            found.steps = [*self._way(number), violation.move or label]
        return bool(found.violation)

    def _check_progress(self, found: Found) -> None:
        """From every state the system must be able to come to rest by itself: all runs ended or truly waiting."""
        before: list[list[int]] = [[] for _ in range(len(self.numbers))]
        for a, b in zip(self.froms, self.tos, strict=True):
            before[b].append(a)
        reached = bytearray(len(self.numbers))
        todo = list(self.resting)
        for number in todo:
            reached[number] = 1
        while todo:
            for number in before[todo.pop()]:
                if not reached[number]:
                    reached[number] = 1
                    todo.append(number)
        stuck = reached.find(0)
        if stuck >= 0:
            found.violation = "the runs can't go on by themselves although nothing that they wait for is missing"
            found.steps = self._way(stuck)

    def _way(self, number: int) -> list[str]:
        """Give the labels of the moves from the first state to this one."""
        worlds = list(self.numbers)
        path = [number]
        while self.parents[path[-1]] >= 0:
            path.append(self.parents[path[-1]])
        path.reverse()
        labels = []
        for a, b in pairwise(path):
            labels.append(next(label for label, _, after in moves(worlds[a], self.scenario) if after == worlds[b]))
        return labels


def explore(scenario: Scenario, *, depth: int = 0, most: int = 0) -> Found:
    """Explore a scenario; a violation is in what it gives, not raised."""
    # States are tuples without cycles, but so many of them that looking through them costs more than all else.
    gc.disable()
    try:
        return Exploration(scenario).run(depth, most)
    finally:
        gc.enable()
