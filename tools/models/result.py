"""Results that serve equal calls for a while."""

from __future__ import annotations

from django.db import models


class ToolResult(models.Model):
    """What a tool answered, kept for as long as it says. `digest` is of the tool, its arguments and whom it serves.

    `output` is JSON text, `until` is in seconds since 1970 on the database's clock.
    """

    workspace = models.ForeignKey("agents.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=32)
    tool = models.CharField(max_length=64)
    output = models.TextField()
    until = models.FloatField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("workspace", "digest"), name="tool_result_once"),)
        indexes = (models.Index(fields=("until",), name="tool_result_until"),)

    def __str__(self) -> str:
        return self.tool
