"""The tool `extract`: typed fields out of a text, each with the place where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.errors import ToolFailed, UnsupportedContent
from tools.registry import tool
from tools.types import JSON, Citation, ToolContext, ToolOutput

MAX_TEXT = 200_000
_NUMBER = re.compile(r"[-−+]?\d[\d\s.,'’]*")
_GROUPED = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+|\d{1,3}(\.\d{3})+)([.,]\d+)?")
_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%B %d %Y", "%Y/%m/%d")
_ORDINAL = re.compile(r"(?<=\d)(st|nd|rd|th)\b")

Kind = Literal["text", "number", "date"]


class Wanted(BaseModel):
    """A field, and the words of the text that say what it is."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60, description="What the field is called.")]
    quote: Annotated[
        str, Field(min_length=1, max_length=2000, description="The words that say it, verbatim as they stand there.")
    ]
    type: Annotated[Kind, Field(description="What the quote is to be read as.")] = "text"


@tool(effect="none", trust="untrusted", kind="act", timeout=20, per_run=True)
async def extract(
    context: ToolContext,
    fields: Annotated[list[Wanted], Field(min_length=1, max_length=50)],
    text: Annotated[str, Field(max_length=MAX_TEXT)] = "",
    artifact: Annotated[str, Field(max_length=200)] = "",
) -> ToolOutput:
    """Record facts found in a text as typed fields. Each quote is checked to stand there word by word, and located.

    Args:
        fields: The fields, each with the words of the text that say what it is.
        text: The text; either this or artifact.
        artifact: The name of a file of this run that holds the text.
    """
    if bool(text) == bool(artifact):
        raise ToolFailed("Give either the text or the name of an artifact.")
    source = text or await _text_of(context, artifact)
    found, problems = read_fields(source, fields)
    if not found:
        raise ToolFailed(f"Nothing was recorded. {'; '.join(problems)}.")
    lines = [f"{one['name']}: {one['value']} (characters {one['start']}-{one['end']})" for one in found]
    if problems:
        lines.append(f"Not recorded: {'; '.join(problems)}.")
    data = {"source": artifact, "fields": found, "problems": problems}
    # What came along in the call has no address that anybody could look up.
    return ToolOutput("\n".join(lines), data, tuple(_cite(artifact, one) for one in found) if artifact else ())


def _cite(artifact: str, field: dict[str, JSON]) -> Citation:
    return Citation(f"artifact:{artifact}", artifact, field["quote"], f"{field['start']}-{field['end']}")


async def _text_of(context: ToolContext, artifact: str) -> str:
    file = await context.load_file(artifact)
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        raise UnsupportedContent(f"{artifact} is {file.media_type}, which is not text.") from error


def read_fields(text: str, fields: Sequence[Wanted]) -> tuple[list[dict[str, JSON]], list[str]]:
    """Give the fields with their values and places, and in words what is wrong with the others."""
    found: list[dict[str, JSON]] = []
    problems: list[str] = []
    for field in fields:
        span = find_span(text, field.quote)
        if span is None:
            problems.append(f"{field.name}: {field.quote[:100]!r} does not stand in the text")
            continue
        quote = text[span[0] : span[1]]
        try:
            value = read_value(quote, field.type)
        except ValueError:
            problems.append(f"{field.name}: {quote[:100]!r} can't be read as a {field.type}")
            continue
        place = {"start": span[0], "end": span[1]}
        found.append({"name": field.name, "type": field.type, "value": value, "quote": quote, **place})
    return found, problems


def find_span(text: str, quote: str) -> tuple[int, int] | None:
    """Find where the quote stands; only spaces and line ends may differ, as texts are broken into lines at will."""
    start = text.find(quote)
    if start >= 0:
        return start, start + len(quote)
    words = quote.split()
    found = re.search(r"\s+".join(map(re.escape, words)), text) if words else None
    return found.span() if found else None


def read_value(quote: str, kind: Kind) -> JSON:
    """Read a quote; numbers become text that is exact, dates ISO 8601. Raises ValueError."""
    match kind:
        case "number":
            return read_number(quote)
        case "date":
            return read_date(quote).isoformat()
    return quote


def read_number(quote: str) -> int | float | str:
    """Read the one number of a quote; which sign parts the decimals is told by its place. Raises ValueError."""
    numbers = _NUMBER.findall(quote)
    if len(numbers) != 1:
        raise ValueError("not one number")
    plain = re.sub(r"[\s'’]", "", numbers[0].replace("−", "-")).rstrip(".,")
    if not _GROUPED.fullmatch(plain):
        raise ValueError("no number")
    last = max(plain.rfind("."), plain.rfind(","))
    if last >= 0:
        sign, other = plain[last], ",."[plain[last] == ","]
        grouped = plain.count(sign) > 1 or (other not in plain and sign == "," and len(plain) - last == 4)
        plain = plain.replace(other, "")
        plain = plain.replace(sign, "" if grouped else ".")
    try:
        value = Decimal(plain)
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def read_date(quote: str) -> date:
    """Read a date whose meaning is certain: not 3/4/2026, which is read in two ways. Raises ValueError."""
    plain = " ".join(_ORDINAL.sub("", quote).replace(",", ", ").split()).replace(" ,", ",")
    for form in _FORMS:
        try:
            return datetime.strptime(plain, form).date()  # noqa: DTZ007 (a day, in no zone)
        except ValueError:
            continue
    return date.fromisoformat(plain[:10]) if re.match(r"\d{4}-\d{2}-\d{2}[T ]", plain) else _no_date()


def _no_date() -> date:
    raise ValueError("no date")
