"""CloudEvents 1.0 in JSON, as the specification's own examples have them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.triggers.cloudevents import BadCloudEvent, read_cloud_event

LEAST = {"specversion": "1.0", "type": "com.example.thing", "source": "/mycontext", "id": "A234-1234-1234"}


def test_all_attributes_are_read() -> None:
    event = read_cloud_event(
        {
            **LEAST,
            "time": "2018-04-05T17:31:00Z",
            "subject": "123",
            "comexampleextension1": "value",
            "comexampleothervalue": 5,
            "unset": None,
            "datacontenttype": "application/json",
            "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
        }
    )
    assert (event.type, event.source, event.id) == ("com.example.thing", "/mycontext", "A234-1234-1234")
    assert event.time == datetime(2018, 4, 5, 17, 31, tzinfo=UTC)
    assert event.data == {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True}
    assert event.attributes == {
        "subject": "123",
        "comexampleextension1": "value",
        "comexampleothervalue": 5,
        "datacontenttype": "application/json",
    }


@pytest.mark.parametrize(
    ("media_type", "raw", "data"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/vnd.example+json; charset=utf-8", b"[1]", [1]),
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("application/vnd.apache.thrift.binary", b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
    ],
)
def test_bytes_are_read_as_what_they_are(media_type: str, raw: bytes, data: Any) -> None:
    encoded = base64.b64encode(raw).decode()
    assert read_cloud_event({**LEAST, "datacontenttype": media_type, "data_base64": encoded}).data == data


def test_the_least() -> None:
    event = read_cloud_event(LEAST)
    assert (event.time, event.data, event.attributes) == (None, None, {})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"type": ""}, "type"),
        ({"source": 1}, "source"),
        ({"id": None}, "id"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2018-04-05T17:31:00"}, "time"),
        ({"time": "2018-13-05T17:31:00Z"}, "time"),
        ({"data_base64": "???"}, "data_base64"),
        ({"data_base64": 7}, "data_base64"),
        ({"data_base64": "AA==", "data": 1}, "data_base64"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"extension": {"a": 1}}, "extension"),
        ({"extension": "x" * 2_001}, "extension"),
    ],
)
def test_what_is_no_cloud_event_is_refused_by_its_attribute(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadCloudEvent) as refused:
        read_cloud_event({**LEAST, **changes})
    assert refused.value.field == field
