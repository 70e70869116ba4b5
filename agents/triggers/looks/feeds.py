"""Feeds (RSS, Atom): one change for each entry that is new."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

from agents.triggers.looks.base import JSON, MAX_URL, BadTarget, Change, Look, State, Surroundings, digest_of, text_of
from agents.triggers.looks.base import only as only_known
from agents.triggers.looks.pages import fetch, validators
from tools.errors import ToolFailed, UnsupportedContent
from tools.http import parse_url
from tools.responses import Response
from tools.text import clean_text
from tools.threads import run_in_thread

MAX_AT_ONCE = 100
"""New entries of one look. What is beyond them is new for the next look."""
MAX_SEEN = 5_000
MAX_ENTRIES = 2_000
MAX_TITLE, MAX_SUMMARY = 300, 2_000


def read_target(given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `url`."""
    only_known(given, "url")
    url = text_of(given, "url", MAX_URL)
    try:
        parse_url(url)
    except ToolFailed as error:
        raise BadTarget(str(error), "url") from error
    return {"url": url}


async def look(target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    """Look for new entries, oldest first; raises ToolsError if that can't be done."""
    response = await fetch(str(target["url"]), state, around)
    if response is None:
        return Look(state or {})
    title, entries = await run_in_thread(_read, response)
    if state is None:
        return Look({**validators(response), "seen": list(entries)[:MAX_SEEN]})
    seen = list(state.get("seen", []))
    new = [key for key in reversed(entries) if key not in set(seen)]
    taken = new[:MAX_AT_ONCE]
    # Those of now first, so that what falls out at the end is what the feed itself has forgotten.
    left_over = set(new[MAX_AT_ONCE:])
    kept = [key for key in dict.fromkeys([*entries, *seen]) if key not in left_over][:MAX_SEEN]
    # With entries left over, the next look must not be told that nothing is new.
    said = {} if left_over else validators(response)
    return Look({**said, "seen": kept}, tuple(Change({"feed": title, "entry": entries[key]}, key) for key in taken))


def _read(response: Response) -> tuple[str, dict[str, dict[str, JSON]]]:
    """Give the feed's title and its entries by a digest of their ids, newest first, as feeds have them."""
    # Without the feed's own address: ids are not addresses, and would be others after a redirect.
    headers = {"content-type": response.headers["content-type"]} if "content-type" in response.headers else {}
    # As a file: a text would be taken for an address, and opened past the guarded client.
    feed = import_module("feedparser").parse(BytesIO(response.body), response_headers=headers)
    if not feed.get("version"):
        raise UnsupportedContent(f"{response.url} is no feed: neither RSS nor Atom.")
    found: dict[str, dict[str, JSON]] = {}
    for entry in feed.entries[:MAX_ENTRIES]:
        shown = _entry(entry, response.url)
        id = clean_text(str(entry.get("id") or "")) or shown["link"] or f"{shown['title']}\n{shown['summary']}"
        found.setdefault(digest_of(id)[:32], {"id": id[:MAX_URL], **shown})
    return _plain(feed.feed.get("title", ""), MAX_TITLE), found


def _entry(entry: Any, base: str) -> dict[str, JSON]:
    content = next((one.get("value", "") for one in entry.get("content", [])), "")
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    return {
        "title": _plain(entry.get("title", ""), MAX_TITLE),
        "link": _address(base, clean_text(str(entry.get("link") or ""))),
        "summary": _plain(entry.get("summary", "") or content, MAX_SUMMARY),
        "author": _plain(entry.get("author", ""), MAX_TITLE),
        "published": _moment(moment),
    }


def _address(base: str, link: str) -> str:
    try:
        return urljoin(base, link)[:MAX_URL] if link else ""
    except ValueError:
        return ""


def _moment(parsed: Any) -> str:
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC).isoformat() if parsed else ""
    except (ValueError, OverflowError, OSError, TypeError):
        return ""


def _plain(markup: str, most: int) -> str:
    """Give the text of what feeds write as HTML."""
    text = str(markup or "")[: most * 20]
    if "<" in text or "&" in text:
        fragment = import_module("lxml.html").fragment_fromstring(text.replace("\x00", ""), create_parent="div")
        text = str(fragment.text_content())
    return clean_text(" ".join(text.split()))[:most]
