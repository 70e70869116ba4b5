"""The page about tools says of each built-in tool what it declares."""

from __future__ import annotations

import re
from pathlib import Path

from tools.apps import BUILTIN
from tools.registry import registry

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tools.md"
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| (\w+) \|([^|]*)\| [^|]+ \|$", re.MULTILINE)


def test_each_tool_has_a_row_that_says_what_it_declares() -> None:
    built_in = {tool.name: tool for tool in registry if tool.function.__module__ in BUILTIN}
    rows = {name: (effect, trust, limits) for name, effect, trust, limits in ROW.findall(PAGE.read_text("utf-8"))}
    assert rows.keys() == built_in.keys()
    for name, (effect, trust, limits) in rows.items():
        tool = built_in[name]
        assert (effect, trust) == (tool.effect, tool.trust), name
        assert bool(limits.strip()) == (bool(tool.limits) or tool.durable == "crawl"), name
        for template in tool.limits.templates:
            assert f"`{re.sub('{.*}', '…', template)}`" in limits, name
