"""A tool and calls of it, for the tests of the wrappers around a tool's function."""

from __future__ import annotations

from typing import Any

from tests.unit.tools.fakes import FakeContext
from tools.chain import Call
from tools.registry import Tool


def echo(word: str) -> str:
    "Say it again."
    return word


def call_of(tool: Tool, context: FakeContext | None = None, **arguments: Any) -> Call:
    return Call(tool, arguments, context or FakeContext(), tool.validate(arguments))
