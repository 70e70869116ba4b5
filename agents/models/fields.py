"""Field types shared by the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from django.core.exceptions import ValidationError
from django.db import models
from uuid_utils.compat import uuid7

__all__ = ["JSONTextField", "SealedField", "uuid7"]


if TYPE_CHECKING:

    class TextField(models.TextField[Any, Any]):
        """A text field whose Python value may be anything; the plugin reads these two."""

        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    class PlainText(models.TextField[str, str]):
        """A text field of texts."""

        _pyi_private_set_type: str
        _pyi_private_get_type: str

else:
    TextField = PlainText = models.TextField  # generic for the type checker only


class JSONTextField(TextField):
    """A JSON value kept as text.

    jsonb would reorder object keys, so that a replay would see another value than the live run did, and reads slower;
    the engine needs the text back byte for byte.
    """

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise ValidationError(f"This is not JSON: {error}.") from error

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""


class SealedField(PlainText):
    """A text made by `tools.secrets.seal`: no part of forms.

    To the database it is a text like any other; by its mark whoever changes the keys finds it.
    """

    is_sealed = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Stand in migrations as what it is to the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs
