"""What incoming webhooks say."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from agents.triggers.reading import FORM, PLACE, find, identify, name_event, read_body

DATA = {"type": "order.created", "id": "evt_1", "data": {"object": {"id": 7, "paid": True}}}
HEADERS = {"x-github-event": "push", "webhook-id": "msg_1", "x-long": "a" * 500}


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"[1, 2]", "", [1, 2]),
        (b"plain words", "text/plain", "plain words"),
        (b"", "", ""),
        (b"\xff\xfe", "", "��"),
        (b"NaN", "application/json", "NaN"),
        (urlencode({"payload": '{"ref": "main"}'}).encode(), FORM, {"ref": "main"}),
        (urlencode({"payload": "no JSON"}).encode(), f"{FORM}; charset=utf-8", "no JSON"),
        (b"a=1&b=2&b=3&c=", FORM, {"a": "1", "b": ["2", "3"], "c": ""}),
        (b'{"a": 1}', FORM, {"a": 1}),
        (b"&".join(b"a=1" for _ in range(2000)), FORM, "&".join("a=1" for _ in range(2000))),
        (b"[" * 3000 + b"]" * 3000, "application/json", "[" * 3000 + "]" * 3000),
    ],
)
def test_bodies(body: bytes, kind: str, value: Any) -> None:
    assert read_body(body, kind) == value


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("header:X-GitHub-Event", "push"),
        ("header:X-Other", ""),
        ("body:type", "order.created"),
        ("body:data.object.id", "7"),
        ("body:data.object.paid", ""),
        ("body:data.object", ""),
        ("body:type.further", ""),
    ],
)
def test_places(place: str, found: str) -> None:
    assert PLACE.fullmatch(place)
    assert find(place, HEADERS, DATA) == found
    assert place.startswith("header:") or find(place, HEADERS, "a text") == ""


@pytest.mark.parametrize(
    "place", ["", "header:", "body:", "body:a..b", "cookie:x", "body:a b", "body:" + "a." * 20 + "a"]
)
def test_what_is_no_place(place: str) -> None:
    assert not PLACE.fullmatch(place)


@pytest.mark.parametrize(
    ("pattern", "place", "name"),
    [
        ("order.created", "", "order.created"),
        ("github.{type}", "header:X-GitHub-Event", "github.push"),
        ("shop.{type}", "body:type", "shop.order.created"),
        ("shop.{type}", "body:missing", "shop.unknown"),
        ("shop.{type}", "", "shop.unknown"),
        ("shop.{type}", "header:X-Long", "shop." + "a" * 100),
    ],
)
def test_names(pattern: str, place: str, name: str) -> None:
    assert name_event(pattern, place, HEADERS, DATA) == name


def test_a_senders_type_can_not_be_what_no_name_is() -> None:
    assert name_event("shop.{type}", "body:type", {}, {"type": "a b*\x00\n../ü"}) == "shop.a_b_.._"


def test_ids() -> None:
    assert identify("header:webhook-id", HEADERS, DATA, b"signed") == "msg_1"
    assert identify("body:id", HEADERS, DATA, b"signed") == "evt_1"
    same = identify("", HEADERS, DATA, b"signed")
    assert same == identify("body:missing", {}, {}, b"signed") != identify("", {}, {}, b"other")
    assert identify("", HEADERS, DATA, None) == ""
    long = identify("header:X-Long", HEADERS, DATA, b"signed")
    assert len(long) < 100
    assert long != identify("header:X-Long", {"x-long": "b" * 500}, DATA, b"signed")
