"""What a call costs. A price that is not known is None, never a guess; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.llm.config import ModelConfig, ModelName

PUBLIC_PROVIDERS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one call. `cached` is the part of `input` that came from the provider's cache."""

    input: int
    output: int
    cached: int = 0


def cost_microusd(name: ModelName, tokens: Tokens, config: ModelConfig) -> int | None:
    """Give the cost in millionths of a US dollar, or None if the price is unknown.

    The operator's MODEL_PRICES come first: {"openai:name": {"input": 0.25, "cached": 0.025, "output": 2.0}}, in US
    dollars per million tokens, so that tokens times price is millionths of a dollar. The public list counts only
    for a provider's own address: another server may sell a model of the same name at any price.
    """
    price = config.prices.get(str(name))
    if price is not None:
        return _own_price(price, tokens)
    if name.provider in PUBLIC_PROVIDERS and not config.base_url:
        return _public_price(name, tokens)
    return None


def _own_price(price: Mapping[str, float], tokens: Tokens) -> int | None:
    if "input" not in price or "output" not in price:
        return None
    cached = min(tokens.cached, tokens.input)
    fresh = tokens.input - cached
    cached_price = price.get("cached", price["input"])
    return round(fresh * price["input"] + cached * cached_price + tokens.output * price["output"])


def _public_price(name: ModelName, tokens: Tokens) -> int | None:
    from genai_prices import Usage, calc_price

    usage: Any = Usage(
        input_tokens=tokens.input, output_tokens=tokens.output, cache_read_tokens=min(tokens.cached, tokens.input)
    )
    try:
        price = calc_price(usage, name.model, provider_id=name.provider)
    except (LookupError, ValueError):
        # The list does not know this model or can't price such a call.
        return None
    return round(price.total_price * 1_000_000)
