"""Reading the body of an answer without trusting its size, its compression or its charset."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import AsyncIterator

from tools.errors import BadResponse, ResponseTooLarge, UnsupportedContent

ACCEPT_ENCODING = "gzip"
"""Only what can be unpacked in bounded pieces: one read of a zstd or brotli stream may unpack to gigabytes."""

_GZIP = 16 + zlib.MAX_WBITS
_ODD_CODECS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


async def read_body(chunks: AsyncIterator[bytes], *, encoding: str, limit: int, cut: bool = False) -> bytes:
    """Read and unpack a body of at most `limit` bytes, counted packed and unpacked; of a longer one, its beginning.

    Without `cut`, a longer one raises ResponseTooLarge.
    """
    unpack = _unpacker(encoding, limit)
    body = bytearray()
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received <= limit or cut:
            body += unpack.feed(chunk, limit + 1 - len(body))
        if received > limit or len(body) > limit:
            if cut:
                return bytes(body[:limit])
            raise too_large(limit)
    unpack.close()
    return bytes(body)


def too_large(limit: int) -> ResponseTooLarge:
    """Make the error for an answer beyond the limit."""
    return ResponseTooLarge(f"The answer is larger than {limit:,} bytes, which is the most that is read.")


class _Plain:
    def feed(self, chunk: bytes, room: int) -> bytes:
        return chunk

    def close(self) -> None:
        """A body that is not packed has no end of its own."""


class _Gzip:
    """Unpacks gzip, of several members too, never more than the room there is."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, chunk: bytes, room: int) -> bytes:
        unpacked = bytearray()
        while chunk and len(unpacked) < room:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                unpacked += self._member.decompress(chunk, room - len(unpacked))
            except zlib.error as error:
                raise BadResponse("The answer says it is gzip, but it can't be unpacked.") from error
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return bytes(unpacked)

    def close(self) -> None:
        if self._begun and not self._member.eof:
            raise BadResponse("The answer broke off before its end.")


def _unpacker(encoding: str, limit: int) -> _Plain | _Gzip:
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Gzip()
    raise UnsupportedContent(f"The answer is packed as {encoding[:40]!r}, which was not asked for and is not read.")


def decode(body: bytes, charset: str, *, is_html: bool = False) -> str:
    """Decode text: by its byte order mark, its declared charset, its own `<meta>`, else as UTF-8."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body.decode(codec, errors="replace")
    found = _META_CHARSET.search(body[:4096]) if is_html and not charset else None
    return body.decode(_codec(found[1].decode() if found else charset), errors="replace")


def _codec(name: str) -> str:
    """Give a codec that turns bytes into text as texts on the web are written; UTF-8 for all others."""
    try:
        info = codecs.lookup(name.strip().strip("\"'"))
    except (LookupError, ValueError):
        return "utf-8"
    # `bytes.decode` knows codecs that unpack or that take quadratic time: the other side must not choose those.
    if info.name in _ODD_CODECS or not getattr(info, "_is_text_encoding", False):
        return "utf-8"
    # Browsers read Latin-1 as Windows-1252, so that is what authors mean.
    return "cp1252" if info.name == "iso8859-1" else info.name
