"""The tables of the tools."""

from tools.models.passage_vector import PassageVector
from tools.models.secret import Secret

__all__ = ["PassageVector", "Secret"]
