"""Explore every scenario, print how many states each has and the verdict; or plant a mistake and see it found.

`python -m tests.protocol [--depth N] [--states N] [--scenario NAME] [--flaw NAME|all]`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from tests.protocol.explore import explore
from tests.protocol.planted import PLANTED, Planted
from tests.protocol.scenario import Scenario
from tests.protocol.scenarios import LARGE, SCENARIOS


def main() -> int:
    """Give 1 if a rule is broken somewhere, or a planted mistake is not found."""
    names = [planted.name for planted in PLANTED]
    parser = argparse.ArgumentParser(
        prog="python -m tests.protocol",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"flaws: {', '.join(names)}",
    )
    parser.add_argument("--depth", type=int, default=0, metavar="N", help="moves from the first state at most")
    parser.add_argument("--states", type=int, default=250_000, metavar="N", help="states of one scenario (0: all)")
    parser.add_argument("--scenario", default="", metavar="NAME", help="only those whose name contains this")
    parser.add_argument("--flaw", choices=[*names, "all"], metavar="NAME", help="plant this mistake, or each in turn")
    options = parser.parse_args()
    if options.flaw:
        return _find([planted for planted in PLANTED if options.flaw in (planted.name, "all")])
    chosen = [scenario for scenario in (*SCENARIOS, *LARGE) if options.scenario in scenario.name]
    return _explore(chosen, options.depth, options.states)


def _explore(scenarios: Iterable[Scenario], depth: int, most: int) -> int:
    began, states, transitions, broken = time.monotonic(), 0, 0, 0
    for scenario in scenarios:
        found = explore(scenario, depth=depth, most=most)
        _say(str(found))
        states, transitions = states + found.states, transitions + found.transitions
        broken += bool(found.violation)
    verdict = f"{broken} VIOLATIONS" if broken else "no violation"
    _say(f"total: {states} states, {transitions} transitions, {time.monotonic() - began:.0f} s: {verdict}")
    return 1 if broken else 0


def _find(planted: list[Planted]) -> int:
    missed = 0
    for each in planted:
        found = each.explore()
        is_found = each.is_found(found)
        missed += not is_found
        _say(f"{each.name}: {f'found after {found.states} states' if is_found else 'NOT FOUND'}: {found.violation}")
        if len(planted) == 1:
            _say("\n".join(f"  {i}. {step}" for i, step in enumerate(found.steps, 1)))
    _say(f"total: {len(planted) - missed} of {len(planted)} planted mistakes found")
    return 1 if missed else 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (this is what the command is for)


if __name__ == "__main__":
    sys.exit(main())
