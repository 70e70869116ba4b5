"""The worlds that are explored. Each is small and explored to its end: together they cover the rules."""

from __future__ import annotations

from tests.protocol.scenario import Scenario
from tests.protocol.worker import Op

SAFE = Op("safe", "a")
UNSAFE = Op("unsafe", "u")
MESSAGE = ((SAFE, Op("message", "go")),)
EFFECT = ((UNSAFE,),)
NAP = ((Op("sleep", "sleep"), SAFE),)
FALLIBLE = ((SAFE, Op("safe", "fallible")),)
JOIN = ((Op("join", "gather", (1, 2)),), (SAFE,), (Op("safe", "fallible"),))
CALL = ((Op("join", "gather", (1,)), SAFE), (SAFE,))

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("message and people", MESSAGE, ("tell", "pause", "cancel", "crash"), ("resume",)),
    Scenario("message and a stalled worker", MESSAGE, ("tell", "stall", "crash")),
    Scenario("message and lost answers", MESSAGE, ("tell", "lost answer", "lost answer", "lost claim", "crash")),
    Scenario("effect and crashes", EFFECT, ("decide retry",), ("crash", "decide done", "decide give up", "retry")),
    Scenario("effect and stalled workers", EFFECT, ("stall", "slow", "decide retry"), ("decide done",)),
    Scenario(
        "effect and people", EFFECT, ("cancel", "retry", "pause", "crash", "decide retry"), ("resume", "decide done")
    ),
    Scenario("effect and a drain", EFFECT, ("drain", "pause", "decide retry"), ("resume", "decide done")),
    Scenario("timer", NAP, ("pause", "cancel", "crash", "drain"), ("resume",)),
    Scenario("timer and a stalled worker", NAP, ("stall",), ("crash",)),
    Scenario("failure and retry", FALLIBLE, ("cancel", "stall"), ("retry",)),
    Scenario("drain", MESSAGE, ("tell", "drain", "pause", "cancel"), ("resume",)),
    Scenario("workflow unknown to a worker", MESSAGE, ("tell", "pause", "cancel", "crash"), ("resume",), unknown_to=1),
    Scenario("join of two", JOIN, ("crash",)),
    Scenario("call and cancel", CALL, ("cancel", "crash")),
    Scenario("call and lost answers", CALL, ("lost answer", "lost claim")),
)

LARGE: tuple[Scenario, ...] = (
    Scenario("timer, pause and a stalled worker", NAP, ("stall", "pause"), ("resume",)),
    Scenario("effect and two stalled workers", EFFECT, ("stall", "stall", "slow", "decide retry"), ("decide done",)),
    Scenario("call, cancel, a crash and a lost answer", CALL, ("cancel", "crash", "lost answer")),
    Scenario("join and cancel", JOIN, ("cancel",)),
    Scenario("message, pause and a stalled worker", MESSAGE, ("tell", "stall", "pause"), ("resume",)),
    Scenario("two messages, two pauses", MESSAGE, ("tell", "tell", "pause", "pause", "lost answer"), ("resume",)),
    Scenario("call, pause and a stalled worker", CALL, ("stall", "pause"), ("resume",)),
    Scenario(
        "effect, cancel and stalled workers", EFFECT, ("stall", "stall", "cancel", "decide retry"), ("decide done",)
    ),
    Scenario("join, crash and cancel", JOIN, ("cancel", "crash", "stall")),
    Scenario(
        "message and everything", MESSAGE, ("tell", "pause", "cancel", "crash", "stall", "lost answer"), ("resume",)
    ),
)
"""Worlds that take minutes; `python -m tests.protocol` explores them too."""
