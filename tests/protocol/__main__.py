"""Explore every scenario and print how many states each has: `python -m tests.protocol [--depth N] [--states N]`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.protocol.explore import explore
from tests.protocol.scenarios import LARGE, SCENARIOS


def main() -> int:
    """Give 1 if a rule is broken somewhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.protocol", description=__doc__)
    parser.add_argument("--depth", type=int, default=0, help="moves from the first state at most; 0: to the end")
    parser.add_argument("--states", type=int, default=250_000, help="states of one scenario at most; 0: all")
    parser.add_argument("--scenario", default="", help="only those whose name contains this")
    options = parser.parse_args()
    began, states, transitions, broken = time.monotonic(), 0, 0, 0
    for scenario in (*SCENARIOS, *LARGE):
        if options.scenario in scenario.name:
            found = explore(scenario, depth=options.depth, most=options.states)
            print(found, flush=True)  # noqa: T201 (this is what the command is for)
            states, transitions = states + found.states, transitions + found.transitions
            broken += bool(found.violation)
    seconds = time.monotonic() - began
    print(f"{states} states, {transitions} transitions, {broken} violations, {seconds:.0f} s")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
