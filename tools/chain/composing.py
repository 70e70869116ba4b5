"""The chain, put together once for each tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.chain.batching import batch
from tools.chain.beginning import begin
from tools.chain.caching import cache
from tools.chain.calls import Handler, Wrapper
from tools.chain.limiting import limit
from tools.chain.running import run, shape
from tools.chain.sharing import share
from tools.chain.timing import timeout
from tools.chain.validating import validate

if TYPE_CHECKING:
    from tools.registry import Tool

WRAPPERS: tuple[Wrapper, ...] = (validate, cache, share, limit, begin, shape, batch, timeout)
"""From the outside inwards."""


def compose(tool: Tool, wrappers: tuple[Wrapper, ...] = WRAPPERS) -> Handler:
    """Give the handler of a tool's calls."""
    handler: Handler = run
    for wrap in reversed(wrappers):
        handler = wrap(tool, handler)
    return handler
