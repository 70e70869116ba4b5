"""Names of hosts, as lists of allowed ones write them: `api.example.org`, or `*.example.org` for all below it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}|[0-9a-f]*:[0-9a-f:.]+")


def read_hosts(names: Iterable[str]) -> list[str]:
    """Bring names into their plain form, each once; raises ValueError naming what is none."""
    found: dict[str, None] = {}
    for name in names:
        plain = name.strip().lower().rstrip(".")
        if not plain:
            continue
        if len(plain) > 253 or not _PATTERN.fullmatch(plain):
            raise ValueError(f"{name[:100]!r} is no name of a host; write api.example.org or *.example.org")
        found[plain] = None
    return list(found)


def is_listed(host: str, names: Iterable[str]) -> bool:
    """Tell whether a host is one of those named."""
    host = host.lower().rstrip(".").strip("[]")
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in names)


def host_limits(arguments: Mapping[str, Any]) -> list[str]:
    """The host of the address, as host:…."""
    try:
        host = urlsplit(str(arguments.get("url", ""))).hostname
    except ValueError:
        host = None
    return [f"host:{host}"] if host else []
