"""From HTML to readable text. Imported when the first page is read: trafilatura is large."""

from __future__ import annotations

from lxml.etree import LxmlError  # type: ignore[import-untyped]  # lxml has no types
from trafilatura import bare_extraction, html2txt
from trafilatura.settings import Document

_ENOUGH = 200


def read_html(html: str, url: str) -> tuple[str, str]:
    """Give a page's title and its text without navigation and markup."""
    try:
        found = bare_extraction(
            html, url=url, with_metadata=True, include_comments=False, include_tables=True, favor_recall=True
        )
        main = (found.text or "") if isinstance(found, Document) else ""
        title = (found.title or "") if isinstance(found, Document) else ""
        # What looks for an article overlooks short pages: those are given whole.
        if len(main) < _ENOUGH:
            main = max(main, html2txt(html) or "", key=len)
    except (LxmlError, ValueError, RecursionError):
        return "", ""
    return title.strip(), main.strip()
