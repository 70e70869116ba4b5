"""The tables of the tools."""

from tools.models.limit import Limit, LimitClock, LimitPause, LimitPermit, LimitTicket, Unit
from tools.models.passage_vector import PassageVector
from tools.models.result import ToolResult
from tools.models.secret import Secret

__all__ = [
    "Limit",
    "LimitClock",
    "LimitPause",
    "LimitPermit",
    "LimitTicket",
    "PassageVector",
    "Secret",
    "ToolResult",
    "Unit",
]
