"""Every interleaving of the protocol keeps its rules, and each mistake planted into it is found."""

from __future__ import annotations

import pytest

from tests.protocol.explore import explore
from tests.protocol.planted import PLANTED, Planted
from tests.protocol.scenario import Scenario
from tests.protocol.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_interleaving_breaks_a_rule(scenario: Scenario) -> None:
    found = explore(scenario)
    print(found)  # noqa: T201 (pytest shows it with a failure or -s)
    assert not found.violation, str(found)
    assert found.is_complete


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_mistake_is_found(planted: Planted) -> None:
    found = planted.explore()
    print(found)  # noqa: T201 (the shortest way to the violation, for the reader)
    assert planted.is_found(found), str(found)
