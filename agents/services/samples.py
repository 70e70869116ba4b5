"""Sample documents, and goals that they answer without any network."""

from __future__ import annotations

from pathlib import Path

from agents.models import Document, User, Workspace
from agents.services.documents import add_document

FOLDER = Path(__file__).resolve().parent.parent / "samples"

SAMPLE_GOALS = (
    "What happens when a worker dies while holding its lease, and why is a fencing token needed?",
    "Compare fixed delays with exponential back-off. Why is jitter added?",
    "How does WAL mode let readers and a writer work at the same time, and what are its limits?",
)

TEAM_GOALS = (
    "Why is a fencing token needed? How does WAL mode let readers and a writer work at the same time? Why is jitter "
    "added to back-off? And calculate 7 * 86400.",
)


def load_samples(workspace: Workspace, *, by: User | None = None) -> list[Document]:
    """Add the sample documents to the workspace; those that are there already stay."""
    return [_load(path, workspace, by) for path in sorted(FOLDER.glob("*.md"))]


def _load(path: Path, workspace: Workspace, by: User | None) -> Document:
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].lstrip("# ").strip()
    return add_document(workspace=workspace, title=title, text=text, media_type="text/markdown", by=by)
