"""What a call costs, and what a model holds. What is not known is None, never a guess; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.llm.config import Endpoint, ModelName


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one call. `cached` is the part of `input` read from the provider's cache, `written` into it."""

    input: int
    output: int
    cached: int = 0
    written: int = 0


def cost_microusd(name: ModelName, tokens: Tokens, endpoint: Endpoint) -> int | None:
    """Give the cost in millionths of a US dollar, or None if the price is unknown.

    The prices that come with the endpoint count first: {"openai:name": {"input": 0.25, "cached": 0.025, "output":
    2.0}}, in US dollars per million tokens, so that tokens times price is millionths of a dollar. The public list
    counts only for a provider's own address: another server may sell a model of the same name at any price.
    """
    price = endpoint.prices.get(str(name))
    if price is not None:
        return _own_price(price, tokens)
    listed = _listed(name, tokens, endpoint)
    cost: int | None = None if listed is None else round(listed.total_price * 1_000_000)
    return cost


def context_of(name: ModelName, endpoint: Endpoint) -> int | None:
    """Give how many tokens a model takes, None if nobody says."""
    if endpoint.context is not None:
        return endpoint.context
    listed = _listed(name, Tokens(1, 1), endpoint)
    size: int | None = None if listed is None else listed.model.context_window
    return size


def _own_price(price: Mapping[str, float], tokens: Tokens) -> int | None:
    if "input" not in price or "output" not in price:
        return None
    cached = min(tokens.cached, tokens.input)
    fresh = tokens.input - cached
    cached_price = price.get("cached", price["input"])
    return round(fresh * price["input"] + cached * cached_price + tokens.output * price["output"])


def _listed(name: ModelName, tokens: Tokens, endpoint: Endpoint) -> Any:
    """Give what the public list says of such a call, None if it does not know the model or another address sells it."""
    if endpoint.base_url or endpoint.kind == "compatible":
        return None
    from genai_prices import Usage, calc_price

    cached = min(tokens.cached, tokens.input)
    usage: Any = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=cached,
        cache_write_tokens=min(tokens.written, tokens.input - cached),
    )
    try:
        return calc_price(usage, name.model, provider_id=endpoint.kind)
    except (LookupError, ValueError):
        return None
