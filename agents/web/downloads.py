"""A file of a run as an answer: saved by who asked for it, never shown or executed by a browser."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Self

from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from agents.services.artifacts import StoredFile

CHUNK = 256 * 1024
"""Bytes that are in memory of each download."""

BINARY = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Download(StreamingHttpResponse):
    """The content of a file, or the part of it that a request asks for.

    A browser is told to save it under its name, to make nothing of it but what its type says, and to let it do nothing
    should it be opened all the same: what runs keep may have been written by strangers.
    """

    def __init__(self, request: HttpRequest, file: StoredFile) -> None:
        etag = f'"{file.digest}"'
        start, end = 0, file.size
        part = wanted_part(request.headers.get("Range", ""), file.size)
        if part is not None and request.headers.get("If-Range", etag) == etag:
            start, end = part
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-store",
            "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
            "Content-Length": str(end - start),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-origin",
            "ETag": etag,
            "X-Content-Type-Options": "nosniff",
        }
        status = HTTPStatus.OK
        if start == end and file.size:
            status, headers["Content-Range"] = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{file.size}"
        elif (start, end) != (0, file.size):
            status, headers["Content-Range"] = HTTPStatus.PARTIAL_CONTENT, f"bytes {start}-{end - 1}/{file.size}"
        self._content = _Content(file, start, end)
        super().__init__(self._content, status=status, content_type=content_type(file.media_type), headers=headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read in a thread: the disk may be slow, and the loop is everybody's."""
        while chunk := await asyncio.to_thread(next, self._content, b""):
            yield chunk


class _Content:
    """The bytes of a file from one place to another.

    All of it is compared with the digest under which it was stored. What it began to send can't be taken back; but the
    last of it is held, so that who reads it gets less than was announced, and knows.
    """

    def __init__(self, file: StoredFile, start: int, end: int) -> None:
        self._file = file.content
        self._file.seek(start)
        self._left = end - start
        self._hash = hashlib.sha256()
        self._digest = file.digest if self._left == file.size else ""

    def __iter__(self) -> Self:
        return self

    def close(self) -> None:
        """Close the file; the answer does, however far it was read."""
        self._file.close()

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        chunk = self._file.read(min(CHUNK, self._left))
        self._left -= len(chunk)
        if self._digest:
            self._hash.update(chunk)
        is_wrong = self._digest and not self._left and self._hash.hexdigest() != self._digest
        if is_wrong or not chunk:
            raise OSError("This file is not the one that was stored.")
        return chunk


def content_type(media_type: str) -> str:
    """Give the header's text for what a file was said to be; what is no media type is bytes.

    Texts are in UTF-8: so are those that tools and workflows hand over as texts.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        return BINARY
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def wanted_part(header: str, size: int) -> tuple[int, int] | None:
    """Read which bytes a request asks for, as (first, beyond the last); None for all of them.

    Several parts at once, and what is no range, count as all. A part beyond the end is empty.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    start = min(int(first), size)
    return start, min(int(last) + 1, size) if last else size
