"""Taking pages apart by CSS selectors. Imported when the first page is scraped: lxml is large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import html  # type: ignore[import-untyped]  # lxml has no types
from lxml.etree import LxmlError  # type: ignore[import-untyped]

from tools.builtin.selectors import BadSelector, Budget, Selector, TooMuchWork
from tools.errors import BadResponse, ToolFailed
from tools.types import JSON

MAX_HTML = 1_500_000
MAX_SELECTOR = 200
MAX_FOUND = 500
MAX_ROWS = 500
MAX_TEXT = 2_000
_SPACES = re.compile(r"\s+")
_ATTRIBUTE = re.compile(r"(.*?)\s*@([\w:-]+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to take: elements by CSS (without: the element itself), and perhaps an attribute, as in `a.next@href`."""

    selector: Selector | None
    attribute: str

    def find(self, element: Any, budget: Budget) -> list[Any]:
        return [element] if self.selector is None else self.selector.find(element, budget)


@dataclass(slots=True)
class Parts:
    """What was taken out of one page."""

    url: str
    title: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)
    tables: list[JSON] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)
    following: list[str] = field(default_factory=list)


def read_wanted(text: str) -> Wanted:
    """Read what to take; raises ToolFailed with a text for the model."""
    if len(text) > MAX_SELECTOR:
        raise ToolFailed(f"A selector has at most {MAX_SELECTOR} characters.")
    given = _ATTRIBUTE.fullmatch(text)
    css, attribute = (given[1], given[2]) if given else (text.strip(), "")
    try:
        return Wanted(Selector.read(css) if css else None, attribute)
    except BadSelector as error:
        raise ToolFailed(f"{text!r} is no CSS selector that can be used here: {error}.") from error


def take_apart(
    text: str, url: str, *, fields: dict[str, str], rows: str, tables: bool, links: bool, follow: str
) -> Parts:
    """Take out of a page what is asked for. With `rows`, fields are looked for within each element that it selects."""
    try:
        return _take(_parse(text), url, fields, rows, tables=tables, links=links, follow=follow)
    except TooMuchWork as error:
        raise ToolFailed(f"{url} can't be taken apart like this: {error}.") from error


def _take(root: Any, url: str, fields: dict[str, str], rows: str, *, tables: bool, links: bool, follow: str) -> Parts:
    budget = Budget()
    base = _joined(url, str(next((one.get("href") for one in root.iter("base") if one.get("href")), ""))) or url
    found = Parts(url, _text(next(iter(root.iter("title")), None)))
    wanted = {name: read_wanted(selector) for name, selector in fields.items()}
    if rows:
        for element in read_wanted(rows).find(root, budget)[:MAX_ROWS]:
            found.rows.append({name: _first(one, element, base, budget) for name, one in wanted.items()})
    else:
        for name, one in wanted.items():
            elements = one.find(root, budget)[:MAX_FOUND]
            found.fields[name] = [_value(one, element, base) for element in elements]
    if tables:
        found.tables = [_table(table) for table in list(root.iter("table"))[:50]]
    if links:
        found.links = [{"text": _text(a), "url": target} for a, target in _targets(root.iter("a"), base)][:MAX_FOUND]
    if follow:
        chosen = read_wanted(follow).find(root, budget)
        found.following = list(dict.fromkeys(urldefrag(target).url for _, target in _targets(chosen, base)))
    return found


def _parse(text: str) -> Any:
    try:
        # As bytes: lxml refuses text that declares an encoding.
        parser = html.HTMLParser(encoding="utf-8", recover=True, no_network=True)
        return html.document_fromstring(text[:MAX_HTML].encode("utf-8", "replace") or b" ", parser=parser)
    except (LxmlError, ValueError) as error:
        raise BadResponse("The page can't be read as HTML.") from error


def _first(wanted: Wanted, element: Any, base: str, budget: Budget) -> str:
    return next((_value(wanted, one, base) for one in wanted.find(element, budget)), "")


def _value(wanted: Wanted, element: Any, base: str) -> str:
    if not wanted.attribute:
        return _text(element)
    value = str(element.get(wanted.attribute) or "").strip()[:MAX_TEXT]
    return _joined(base, value) if value and wanted.attribute in ("href", "src", "action") else value


def _targets(elements: Any, base: str) -> Iterator[tuple[Any, str]]:
    for element in elements:
        target = _joined(base, str(element.get("href") or "").strip())
        if urlsplit(target).scheme in ("http", "https"):
            yield element, target


def _joined(base: str, target: str) -> str:
    try:
        return urljoin(base, target) if target else ""
    except ValueError:
        return ""


def _table(table: Any) -> JSON:
    rows = [[_text(cell) for cell in row.iter("td", "th")] for row in table.iter("tr")]
    head = next(iter(table.iter("tr")), None)
    has_head = head is not None and not list(head.iter("td")) and bool(rows)
    caption = next(iter(table.iter("caption")), None)
    return {
        "caption": _text(caption),
        "header": rows[0] if has_head else [],
        "rows": rows[has_head : MAX_ROWS + has_head],
    }


def _text(element: Any) -> str:
    return "" if element is None else _SPACES.sub(" ", str(element.text_content())).strip()[:MAX_TEXT]
