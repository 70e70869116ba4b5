"""CloudEvents 1.0 in their JSON format: read from bodies of HTTP requests, one or many."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from agents.engine.canonical import JSON, decode

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
VERSION = "1.0"
_OWN = ("specversion", "id", "source", "type", "time", "data", "data_base64")
_MAX_ATTRIBUTES = 50
_MAX_ATTRIBUTE = 2_000


class BadCloudEvent(ValueError):
    """This is no CloudEvent. `field` names the attribute."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """A CloudEvent. `attributes` are those that have no place of their own: subject, dataschema, extensions."""

    type: str
    source: str
    id: str
    time: datetime | None
    data: JSON
    attributes: Mapping[str, JSON] = field(default_factory=dict)


def read_cloud_event(value: Any) -> CloudEvent:
    """Read one; raises BadCloudEvent."""
    if not isinstance(value, dict):
        raise BadCloudEvent("A CloudEvent is an object.")
    if value.get("specversion") != VERSION:
        raise BadCloudEvent(f'Only version {VERSION} is taken: "specversion": "{VERSION}".', "specversion")
    type, source, id = (_text(value, name) for name in ("type", "source", "id"))
    attributes = {name: value[name] for name in value if name not in _OWN and value[name] is not None}
    if len(attributes) > _MAX_ATTRIBUTES:
        raise BadCloudEvent(f"A CloudEvent has at most {_MAX_ATTRIBUTES} other attributes.")
    for name, attribute in attributes.items():
        if not isinstance(attribute, str | int | bool) or len(str(attribute)) > _MAX_ATTRIBUTE:
            raise BadCloudEvent(
                f"An attribute is a text of at most {_MAX_ATTRIBUTE:,} characters, a whole number, true or false.",
                name[:100],
            )
    return CloudEvent(type, source, id, _time(value), _data(value), attributes)


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise BadCloudEvent("This attribute is required: a text that is not empty.", name)
    return text


def _time(value: Mapping[str, Any]) -> datetime | None:
    text = value.get("time")
    if text is None:
        return None
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadCloudEvent("A time is written as in 2026-03-04T05:06:07Z.", "time")
    return moment


def _data(value: Mapping[str, Any]) -> JSON:
    """Give the data; bytes are read as what they are said to be, others stay base64."""
    encoded = value.get("data_base64")
    if encoded is None:
        return value.get("data")
    if value.get("data") is not None:
        raise BadCloudEvent("A CloudEvent has data or data_base64, not both.", "data_base64")
    try:
        raw = base64.b64decode(encoded if isinstance(encoded, str) else b"!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCloudEvent("This is not base64.", "data_base64") from error
    media_type = str(value.get("datacontenttype", "application/json")).partition(";")[0].strip().lower()
    try:
        if media_type.endswith(("/json", "+json")):
            return decode(raw)
        if media_type.startswith("text/"):
            return raw.decode()
    except ValueError as error:
        raise BadCloudEvent(f"The data is no {media_type[:50]}.", "data_base64") from error
    return encoded
