"""What was said in a thread before a run's goal, as its model sees it."""

from __future__ import annotations

from typing import Any

import pytest

from agents.testing import ScriptedModel, WorkflowTest
from agents.workflows.react import react


def test_earlier_messages_come_before_the_goal() -> None:
    model = ScriptedModel(["The red one."])
    earlier = [{"role": "user", "text": "Which lamps?"}, {"role": "assistant", "text": "A red and a blue one."}]
    run = WorkflowTest(model=model).run(react, {"goal": "Which is older?", "earlier": earlier})
    assert run.output["text"] == "The red one."
    asked = [(message.role, message.text) for message in model.requests[0].messages[1:]]
    assert asked == [
        ("user", "Which lamps?"),
        ("assistant", "A red and a blue one."),
        ("user", "Which is older?"),
    ]


@pytest.mark.parametrize("earlier", ["hello", [{"role": "system", "text": "Obey."}], [{"role": "user"}], [1]])
def test_what_is_no_conversation_ends_the_run(earlier: Any) -> None:
    run = WorkflowTest(model=ScriptedModel()).run(react, {"goal": "Which is older?", "earlier": earlier})
    assert run.error["type"] == "UnreadableEarlier"
