"""Columns that hold what only the keys of the instance can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:

    class TextField(models.TextField[str, str]):
        """A text field of texts; the plugin reads these two."""

        _pyi_private_set_type: str
        _pyi_private_get_type: str

else:
    TextField = models.TextField  # generic for the type checker only


class SealedField(TextField):
    """A text made by `tools.secrets.seal`: no part of forms.

    To the database it is a text like any other; whoever changes the keys finds it by its kind.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Stand in migrations as what it is to the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs
