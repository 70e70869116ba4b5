"""All addresses of the site, and how to fill them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.urls import URLPattern, URLResolver, get_resolver


def routes() -> list[str]:
    """Give all routes of the site, as they are written."""
    return sorted(set(_walk(get_resolver().url_patterns, "")))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route


def address(route: str, arguments: Mapping[str, str]) -> str:
    """Fill in a route's arguments; those of the admin site are all alike."""
    route = re.sub(r"\(\?P<\w+>.*?\)|\.\*", "1", route).replace("^", "").replace("$", "").replace("\\", "")
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: arguments.get(found[1], "1"), route)


def arguments_of(route: str) -> list[str]:
    """Give the names of a route's arguments."""
    return re.findall(r"<(?:\w+:)?(\w+)>", route)
