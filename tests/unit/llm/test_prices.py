"""What a call costs, and that nobody guesses it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agents.engine.errors import Permanent
from agents.llm.config import Endpoint, ModelConfig, ModelName
from agents.llm.prices import Tokens, cost_microusd

TOKENS = Tokens(input=1_000_000, output=100_000)


def cost(name: str, tokens: Tokens = TOKENS, **config: object) -> int | None:
    return cost_microusd(ModelName.parse(name), tokens, Endpoint(**{"kind": "openai", **config}))  # type: ignore[arg-type]


def test_a_public_model_at_its_own_address() -> None:
    known = cost("openai:gpt-4o-mini")
    assert known is not None
    assert known > 0
    cached = cost("openai:gpt-4o-mini", Tokens(1_000_000, 100_000, cached=900_000))
    assert cached is not None
    assert cached < known


@pytest.mark.parametrize(
    ("name", "kind"), [("openai:no-such-model-xyz", "openai"), ("other:gpt-4o-mini", "compatible")]
)
def test_what_no_list_knows_is_unknown(name: str, kind: str) -> None:
    assert cost(name, kind=kind) is None


def test_another_address_does_not_have_the_public_price() -> None:
    assert cost("openai:gpt-4o-mini", base_url="http://127.0.0.1:1/v1") is None


def test_the_operators_price_comes_first() -> None:
    prices = {"openai:gpt-4o-mini": {"input": 1.0, "output": 2.0}}
    assert cost("openai:gpt-4o-mini", prices=prices) == 1_200_000
    assert cost("openai:gpt-4o-mini", prices={"openai:gpt-4o-mini": {"input": 1.0}}) is None


@pytest.mark.parametrize("name", ["gpt", ":x", "openai:", ""])
def test_names_that_name_no_model(name: str) -> None:
    with pytest.raises(Permanent, match="<provider>:<model>"):
        ModelName.parse(name)


def test_a_model_name_may_hold_colons() -> None:
    assert ModelName.parse("local:llama3:8b") == ModelName("local", "llama3:8b")


def test_the_heavy_library_is_loaded_only_when_needed() -> None:
    code = (
        "import sys, agents.llm, agents.llm.offline; sys.exit('pydantic_ai' in sys.modules or 'openai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ModelConfig(api_key="secret"))
