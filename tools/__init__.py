"""Tools: what agents may call.

from tools import ToolContext, ToolFailed, ToolOutput, tool

    @tool(effect="none", trust="trusted", kind="search")
    def opening_hours(shop: str) -> str:
        "Tell when a shop is open."
        ...
"""

from tools.declarations import Batch
from tools.errors import NeedsApproval, NoEffect, ToolFailed, ToolRetry
from tools.registry import tool
from tools.types import Citation, Retry, ToolContext, ToolOutput

__all__ = [
    "Batch",
    "Citation",
    "NeedsApproval",
    "NoEffect",
    "Retry",
    "ToolContext",
    "ToolFailed",
    "ToolOutput",
    "ToolRetry",
    "tool",
]
