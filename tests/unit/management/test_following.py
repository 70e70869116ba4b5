from typing import Any

from rich.console import Console

from agents.management.following import Picture, plain
from agents.models import RunEvent


def draw(picture: Picture) -> str:
    console = Console(width=100, height=30, force_terminal=False, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(picture)
    return capture.get()


def picture_of(*events: tuple[str, dict[str, Any]]) -> Picture:
    picture = Picture(title="researcher@1")
    for number, (kind, data) in enumerate(events, 1):
        picture.add(RunEvent(number=number, kind=kind, data=data))
    return picture


def test_steps_stand_in_their_branches_with_time_and_cost() -> None:
    branch = {"key": "gather#0/1/tool:web_fetch#0", "kind": "tool", "name": "web_fetch", "label": "act"}
    drawn = draw(
        picture_of(
            ("step_started", {**branch, "attempt": 1}),
            ("step_finished", {**branch, "ms": 1200, "tokens": 30, "cost": 2500}),
            ("run_succeeded", {}),
        )
    )
    assert "✓ act web_fetch  1.2 s, 30 tokens, $0.0025" in drawn
    assert "gather 1" in drawn
    assert "succeeded" in drawn


def test_failures_and_retries_say_why() -> None:
    step = {"key": "think#0", "kind": "think", "name": "think"}
    drawn = draw(
        picture_of(
            ("step_started", {**step, "attempt": 1}),
            ("step_retrying", {**step, "attempt": 1, "error": {"message": "too many requests"}, "delay": 2}),
        )
    )
    assert "again in 2.0 s: too many requests" in drawn


def test_a_long_run_keeps_its_newest_steps_on_screen() -> None:
    events = [("step_started", {"key": f"step{n}#0", "name": f"step{n}"}) for n in range(100)]
    drawn = draw(picture_of(*events))
    assert "step99" in drawn
    assert "earlier steps" in drawn
    assert len(drawn.splitlines()) <= 30


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[31mb\rc\u202ed\ne\tf") == "a [31mb c d\ne\tf"
    assert plain("abcdef", 4) == "abc…"
