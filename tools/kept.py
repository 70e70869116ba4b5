"""The table of kept results. What is here blocks: for threads."""

from __future__ import annotations

import json

from tools.limits.store import database_time
from tools.models import ToolResult
from tools.types import JSON

MAX_KEPT = 1_000_000
"""Characters of a result that is kept: what is larger is fetched anew rather than stored once more."""


def recall(workspace_id: int, digest: str) -> JSON:
    """Give what is kept and not yet too old, None if nothing is."""
    rows = ToolResult.objects.filter(workspace_id=workspace_id, digest=digest, until__gt=database_time())
    text = rows.values_list("output", flat=True).first()
    return None if text is None else json.loads(text)


def keep(workspace_id: int, digest: str, tool: str, output: JSON, seconds: float) -> None:
    """Keep a result for so many seconds, in place of an older one; one that is too large is not kept."""
    text = json.dumps(output)
    if len(text) > MAX_KEPT:
        return
    ToolResult.objects.update_or_create(
        workspace_id=workspace_id,
        digest=digest,
        defaults={"tool": tool, "output": text, "until": database_time() + seconds},
    )
