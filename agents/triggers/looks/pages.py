"""Pages of the web: whether they have changed, by what the server says of them and by their text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import import_module

from agents.triggers.looks.base import JSON, MAX_URL, BadTarget, Change, Look, State, Surroundings, digest_of, text_of
from agents.triggers.looks.base import only as only_known
from tools.errors import ToolFailed, UnsupportedContent
from tools.http import parse_url
from tools.responses import Response
from tools.robots import robots_of
from tools.text import clean_text
from tools.threads import run_in_thread

MAX_BYTES = 5_000_000
TIMEOUT = 40.0
MAX_KEPT = 60_000
"""Characters of a text that are kept to tell later what has changed in it."""
MAX_SHOWN = 4_000
MAX_LINES, MAX_LINE = 50, 500
MAX_SELECTOR = 200


def read_target(given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `url`, and perhaps `selector`: CSS, with an attribute after @ as in `a.download@href`."""
    only_known(given, "url", "selector")
    url = text_of(given, "url", MAX_URL)
    selector = text_of(given, "selector", MAX_SELECTOR, needed=False)
    try:
        parse_url(url)
    except ToolFailed as error:
        raise BadTarget(str(error), "url") from error
    if selector:
        try:
            import_module("tools.builtin.markup").read_wanted(selector)
        except ToolFailed as error:
            raise BadTarget(str(error), "selector") from error
    return {"url": url, "selector": selector} if selector else {"url": url}


async def look(target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    """Look at a page; raises ToolsError if that can't be done."""
    response = await fetch(str(target["url"]), state, around)
    if response is None:
        return Look(state or {})
    selector = str(target.get("selector", ""))
    title, text, digest = await run_in_thread(_read, response, selector)
    now: State = {**validators(response), "digest": digest, "text": text[:MAX_KEPT]}
    note = "" if text or not selector else "The selector selects nothing at present."
    if state is None or state.get("digest") == digest:
        return Look(now, note=note)
    before, after = str(state.get("text", "")).splitlines(), now["text"].splitlines()
    change = {
        "url": response.url,
        "title": title,
        "text": text[:MAX_SHOWN],
        "added": _lines_only_in(after, before),
        "removed": _lines_only_in(before, after),
    }
    return Look(now, (Change(change),), note)


async def fetch(url: str, state: State | None, around: Surroundings) -> Response | None:
    """Fetch what is at an address unless the server says that it is the same; raises ToolsError."""
    known = state or {}
    headers = {"if-none-match": known.get("etag"), "if-modified-since": known.get("last_modified")}
    robots = robots_of(around.http)
    async with robots.visit(url):
        response = await around.http.get(
            url,
            headers={name: str(value) for name, value in headers.items() if value},
            max_bytes=MAX_BYTES,
            timeout=TIMEOUT,
            admit=robots.admit,
        )
    response.check(around.now())
    return None if response.status == 304 else response


def validators(response: Response) -> State:
    """Give what the server wants to be told at the next look."""
    found = {"etag": response.headers.get("etag", ""), "last_modified": response.headers.get("last-modified", "")}
    return {name: value for name, value in found.items() if 0 < len(value) <= 500 and value.isprintable()}


def _read(response: Response, selector: str) -> tuple[str, str, str]:
    """Give title, text, and a digest of all that counts as the same."""
    if selector:
        parts = import_module("tools.builtin.markup").take_apart(
            response.text(), response.url, fields={"": selector}, rows="", tables=False, links=False, follow=""
        )
        text = clean_text("\n".join(parts.fields[""]))
        return clean_text(parts.title), text, digest_of(text)
    try:
        page = import_module("tools.builtin.web_fetch").read_page(response)
    except UnsupportedContent:
        # A picture, a PDF: whether its bytes are the same can be told all the same.
        return "", "", digest_of(response.body)
    text = clean_text(page.text)
    return clean_text(page.title), text, digest_of(text)


def _lines_only_in(these: Iterable[str], those: Iterable[str]) -> list[str]:
    left = Counter(line.strip() for line in those)
    found = []
    for line in map(str.strip, these):
        if left[line]:
            left[line] -= 1
        elif line:
            found.append(line[:MAX_LINE])
    return found[:MAX_LINES]
