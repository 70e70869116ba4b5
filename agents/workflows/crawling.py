"""Reading many pages: each is a step of its own, so that none is fetched twice, whatever becomes of the worker.

How many requests a site gets in a time is the matter of the limit `host:…` that each of those steps counts for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from agents.engine import Context
from agents.engine.canonical import JSON, encode
from agents.engine.messages import Citation, ToolCall, ToolResult
from tools.builtin.web_crawl import Walk, host_of
from tools.files import file_name
from tools.registry import registry

SCRAPE = "web_scrape"
WIDTH = 100
"""Pages of one site that are under way at once; most of them wait for their turn."""


async def crawl(ctx: Context, call: ToolCall) -> ToolResult:
    """Read the pages that a call of web_crawl asks for; raises InvalidArguments."""
    asked = registry.get(call.name).validate(dict(call.arguments))
    walk = Walk(asked.pop("urls"), asked.pop("max_pages"))
    options = {name: value for name, value in asked.items() if value}
    pauses: dict[str, float] = {}
    while sites := walk.next():
        read = await ctx.gather(*(_read_site(ctx, urls, options, pauses) for urls in sites.values()))
        for urls, results in zip(sites.values(), read, strict=True):
            _take(walk, urls, results)
    if not walk.pages:
        text = "\n".join(f"{one['url']}: {one['why']}" for one in walk.failed)
        return ToolResult("tool", text, call_id=call.id, name=call.name, ok=False, error="NothingRead")
    return await _result(ctx, call, walk)


async def _read_site(
    ctx: Context, urls: Sequence[str], options: Mapping[str, JSON], pauses: dict[str, float]
) -> list[ToolResult]:
    """Read pages of one site: one after the other if it wants a pause between two, which the first one tells."""
    read, host, results = partial(_read, ctx, options), host_of(urls[0]), []
    if host not in pauses:
        results.append(await read(urls[0]))
        pauses[host] = results[0].data["pause"] if results[0].ok else 0.0
    left = urls[len(results) :]
    if not pauses[host]:
        return [*results, *await ctx.map(read, left, width=WIDTH)]
    for url in left:
        await ctx.sleep(pauses[host])
        results.append(await read(url))
    return results


async def _read(ctx: Context, options: Mapping[str, JSON], url: str) -> ToolResult:
    return await ctx.tool(ToolCall("", SCRAPE, {"url": url, **options}))


def _take(walk: Walk, urls: Sequence[str], results: Sequence[ToolResult]) -> None:
    for url, result in zip(urls, results, strict=True):
        if result.ok:
            walk.take(result.data)
        else:
            walk.miss(url, result.text)


async def _result(ctx: Context, call: ToolCall, walk: Walk) -> ToolResult:
    """Give the model what fits before its eyes; if that is not all, the run keeps the whole as a file."""
    file = ""
    if walk.is_cut:
        file = file_name("pages", encode(dict(call.arguments)), ".json")
        await ctx.artifact(file, walk.pages)
    output = walk.output(file)
    cited = tuple(Citation(one.source, one.title) for one in output.citations)
    return ToolResult("tool", output.text, call_id=call.id, name=call.name, data=output.data, citations=cited)
