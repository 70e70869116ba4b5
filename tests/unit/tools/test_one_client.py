"""All requests to the outside go through tools/http.py. Model access has a client of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("agentsite", "agents", "tools")
CLIENTS = {"aiohttp", "ftplib", "http.client", "httpcore", "httpx", "httpx2", "requests", "smtplib", "telnetlib"} | {
    "urllib.request",
    "urllib3",
    "websockets",
}
ALLOWED = ("tools/http.py", "agents/llm/")


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_client(name: str) -> bool:
    return any(name == client or name.startswith(f"{client}.") for client in CLIENTS)


@pytest.mark.fault(37)
def test_no_other_module_makes_outbound_requests() -> None:
    strangers = {}
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        place = path.relative_to(ROOT).as_posix()
        found = sorted(filter(is_client, imported(ast.parse(path.read_text()))))
        if found and not place.startswith(ALLOWED):
            strangers[place] = found
    assert strangers == {}, "requests to the outside go through tools.http.outbound()"


def test_the_search_finds_what_it_looks_for() -> None:
    assert is_client("httpx")
    assert is_client("urllib.request")
    assert is_client("requests.adapters")
    assert not is_client("urllib.parse")
    assert "urllib.request" in imported(ast.parse("from urllib import request"))
