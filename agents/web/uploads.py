"""Texts that are sent as files."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile


def text_of_upload(file: Any, most: int, too_large: str) -> str:
    """Give the text of a file that was sent, nothing if none was.

    Raises ValidationError, in the words `too_large` for one of more than `most` bytes, and for what is not UTF-8.
    """
    if not isinstance(file, UploadedFile):
        return ""
    if (file.size or 0) > most:
        raise forms.ValidationError(too_large)
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError as error:
        raise forms.ValidationError("The file is not text in UTF-8.") from error
