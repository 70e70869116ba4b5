"""Answers as HTML that can do nothing.

An answer is written by a model that may have read hostile pages. No HTML of its own passes, no image, nothing that
the browser would load; links lead to the web only and tell the target nothing. The result is sanitised once more by
an allow-list, so that a fault of the renderer alone opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

MAX_CHARACTERS = 200_000

_TAGS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "sup",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
_WEB = re.compile(r"https?://", re.IGNORECASE)
_CITED = re.compile(r"\[(\d{1,3})\]")
_MARK = "cited:"
_SOURCES = re.compile(r"\n+(?:\*\*|#+ )Sources:?(?:\*\*)?\s*\n(?:\s*[-*] (?:\[\d+\] ?)+[^\n]*\n?)+\s*$", re.IGNORECASE)


def render_answer(text: str, citations: Sequence[str] = ()) -> SafeString:
    """Render an answer. `citations` are the addresses that [1], [2] … lead to."""
    text = text[:MAX_CHARACTERS]
    if citations:
        # The page lists the sources itself, with links.
        text = _SOURCES.sub("", text)
    html: str = _renderer.render(text, {"cited": len(citations)})

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute != "href":
            return value if attribute in ("start", "rel") else None
        if value.startswith(_MARK):
            return _target(value, citations)
        return value if _WEB.match(value) else None

    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"http", "https", _MARK.rstrip(":")},
        link_rel="nofollow noopener noreferrer",
    )
    return mark_safe(clean)  # noqa: S308 (sanitised just above)


def _target(mark: str, citations: Sequence[str]) -> str | None:
    number = mark.removeprefix(_MARK)
    if number.isdecimal() and 1 <= int(number) <= len(citations):
        return citations[int(number) - 1]
    return None


def _link_citations(state: StateCore) -> None:
    """Turn [n] in running text into a link to source n; code and links stay as they are."""
    known = int(state.env.get("cited", 0))
    if not known:
        return
    for block in state.tokens:
        if block.type == "inline" and block.children:
            block.children = _with_citations(block.children, known)


def _with_citations(children: list[Token], known: int) -> list[Token]:
    result: list[Token] = []
    links = 0
    for token in children:
        links += (token.type == "link_open") - (token.type == "link_close")
        if token.type != "text" or links:
            result.append(token)
            continue
        at = 0
        for match in _CITED.finditer(token.content):
            if not 1 <= int(match[1]) <= known:
                continue
            result += [_text(token.content[at : match.start()]), *_citation(match[1])]
            at = match.end()
        result.append(_text(token.content[at:]) if at else token)
    return result


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _citation(number: str) -> list[Token]:
    link = Token("link_open", "a", 1, attrs={"href": f"{_MARK}{int(number)}"})
    return [
        Token("sup_open", "sup", 1),
        link,
        _text(number),
        Token("link_close", "a", -1),
        Token("sup_close", "sup", -1),
    ]


def _make_renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 40})
    renderer.enable(["table", "strikethrough"])
    # `reference`: an answer could otherwise give [1] another meaning than the source that stands under that number.
    renderer.disable(["image", "reference", "html_block", "html_inline"])
    renderer.core.ruler.after("text_join", "citations", _link_citations)
    return renderer


_renderer = _make_renderer()
