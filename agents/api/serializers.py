"""What the API's forms are made of: fields, bodies whose every field is known, and how forms are used."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.api.parsing import check_text
from agents.live.messages import iso


@extend_schema_field(OpenApiTypes.ANY)
class AnyJSON(serializers.JSONField):
    """Any JSON value; the parser has checked it."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Moment(serializers.DateTimeField):
    """A moment in UTC, written as everywhere else."""

    def to_representation(self, value: Any) -> Any:
        return iso(value)


class StrictSerializer(serializers.Serializer[Any]):
    """A body whose every field is known: a misspelt name is an error, not silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            message = f"There is no such field. There are: {known}." if known else "There is no such field."
            raise serializers.ValidationError({name[:100]: [message] for name in unknown[:20]})
        return super().to_internal_value(data)

    @classmethod
    def read(cls, data: Any) -> Any:
        """Check a body and give its values; raises ValidationError.

        By one form for all requests: it keeps nothing between calls, and its fields cost more to copy than to use.
        """
        if data is None:
            raise serializers.ValidationError({"non_field_errors": ["No data provided."]})
        return _form(cls).run_validation(data)


@cache
def _form(form: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    return form()


def shown(form: type[serializers.Serializer[Any]], what: object) -> dict[str, Any]:
    """Give something in one of the API's forms: by one form for all requests, as `StrictSerializer.read` does."""
    given: dict[str, Any] = _form(form).to_representation(what)
    return given


def check_parameters(values: Any) -> None:
    """Refuse parameters that hold what no database keeps."""
    for value in values:
        check_text(value)
