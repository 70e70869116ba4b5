"""Results that are kept for a while, and serve equal calls of the same workspace on every machine."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING

from tools.chain.calls import Call, Handler
from tools.chain.sharing import audience, canonical
from tools.types import JSON, Citation, ToolOutput

if TYPE_CHECKING:
    from tools.registry import Tool


def cache(tool: Tool, inner: Handler) -> Handler:
    """Answer from what is kept, for as many seconds as the tool says; keep what it answers anew."""
    if not tool.cache:
        return inner

    async def cached(call: Call) -> ToolOutput:
        digest = digest_of(call)
        kept = await call.context.recall(digest)
        if kept is not None:
            return _read(kept)
        output: ToolOutput = await inner(call)
        # What an equal call in flight has answered, that call keeps; and a file belongs to the run that made it.
        if not output.cached and output.file is None:
            await call.context.keep(digest, asdict(output), tool=tool.name, seconds=tool.cache)
        return output

    return cached


def digest_of(call: Call) -> str:
    """Give what equal calls have in common: the tool as it is described, its arguments, and whom the answer serves."""
    tool = call.tool
    told = [tool.name, tool.description, canonical(tool.schema), canonical(call.arguments), str(audience(call))]
    return blake2b(canonical(told).encode(), digest_size=16).hexdigest()


def _read(kept: JSON) -> ToolOutput:
    citations = tuple(Citation(**citation) for citation in kept["citations"])
    return ToolOutput(kept["text"], kept["data"], citations, cached=True)
