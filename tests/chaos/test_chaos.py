"""A minute of chaos: what was accepted ends, nothing recorded is done again, nothing unsafe is done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.instance import CHECKOUT

SEED = 7
SECONDS = 40
ENDED = ("succeeded", "failed", "cancelled")


@pytest.mark.timeout(240)
def test_a_minute_of_chaos() -> None:
    database = "postgresql" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "sqlite"
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), "--seconds", str(SECONDS)]
    done = subprocess.run(
        [*command, "--database", database], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=230
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    figures: dict[str, Any] = json.loads(done.stdout)
    # It did something: otherwise there was nothing to break.
    assert figures["runs"]["succeeded"] > 20
    assert sum(figures["runs"].get(status, 0) for status in ENDED) == figures["runs"]["started"]
    assert sum(figures["disruptions"].values()) > 10
    assert figures["executed_again"] > 0
