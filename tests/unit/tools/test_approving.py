"""When a call waits for a person: by the tool's own rule, the workspace's wish, and what the run has read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tools.approving import Policy, describe, is_free, request_for
from tools.registry import make_tool
from tools.types import Effect


def send(to: str, copies: int = 1) -> str:
    """Send a letter.

    To whom it is addressed.
    """
    return to


def many(arguments: Mapping[str, Any]) -> bool:
    return bool(arguments["copies"] > 1)


def broken(arguments: Mapping[str, Any]) -> bool:
    raise ValueError("broken")


LETTER = {"to": "anna"}
NEVER: Final = "never"
TAINTED: Final = "when_tainted"
ALWAYS: Final = "always"
DECLARED: Final = "declared"


@pytest.mark.parametrize(
    ("approval", "effect", "when", "asked_clean", "asked_tainted"),
    [
        (TAINTED, "none", TAINTED, False, False),
        (TAINTED, "none", ALWAYS, False, False),
        (TAINTED, "idempotent", TAINTED, False, True),
        (TAINTED, "unsafe", TAINTED, False, True),
        (TAINTED, "unsafe", ALWAYS, True, True),
        (TAINTED, "unsafe", DECLARED, False, False),
        (NEVER, "unsafe", TAINTED, False, False),
        (NEVER, "unsafe", ALWAYS, True, True),
        (ALWAYS, "none", DECLARED, True, True),
        (ALWAYS, "unsafe", TAINTED, True, True),
        (many, "unsafe", TAINTED, False, True),
        (broken, "none", DECLARED, True, True),
    ],
)
def test_who_is_asked(approval: Any, effect: Effect, when: Any, asked_clean: bool, asked_tainted: bool) -> None:
    tool = make_tool(send, effect=effect, approval=approval)
    asked = [request_for(tool, LETTER, Policy(when), is_tainted=tainted) is not None for tainted in (False, True)]
    assert asked == [asked_clean, asked_tainted]
    assert not (is_free(tool) and any(asked))


def test_a_rule_sees_the_arguments_with_their_defaults() -> None:
    tool = make_tool(send, effect="none", approval=many)
    assert request_for(tool, LETTER, Policy(), is_tainted=True) is None
    asked = request_for(tool, {**LETTER, "copies": 2}, Policy(), is_tainted=False)
    assert asked is not None
    assert asked.why == "This tool asks a person before calls like this one."
    assert asked.effect == "Send a letter. It changes nothing outside."


def test_nobody_is_asked_about_what_the_tool_will_refuse() -> None:
    tool = make_tool(send, approval=ALWAYS)
    assert request_for(tool, {"to": 7}, Policy(), is_tainted=True) is None


def test_what_the_tool_says_itself_is_why() -> None:
    tool = make_tool(send, effect="none")
    asked = request_for(tool, LETTER, Policy(), is_tainted=False, because="Anna is new.")
    assert asked is not None
    assert asked.why == "Anna is new."


def test_the_digest_is_of_all_that_a_person_is_told() -> None:
    def otherwise(to: str, copies: int = 1) -> str:
        """Send two letters."""
        return to

    tools = (
        make_tool(send),
        make_tool(send, effect="none"),
        make_tool(send, name="post"),
        make_tool(otherwise, name="send"),
    )
    assert len({describe(tool) for tool in tools}) == len(tools)
    assert describe(make_tool(send, timeout=5)) == describe(make_tool(send))
