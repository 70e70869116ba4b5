"""The tables of the tools."""

from tools.models.secret import Secret

__all__ = ["Secret"]
