"""Fields with the places where they stand: what does not stand in the text is not recorded."""

from __future__ import annotations

import pytest

from tests.unit.tools.fakes import FakeContext
from tools.builtin.extract import Wanted, extract, read_date, read_number
from tools.errors import ToolFailed
from tools.types import Citation, File

pytestmark = pytest.mark.anyio

TEXT = "The lamp of 3 March 2026\n costs 1,234.50 € and weighs\n  about 2 kg."


async def test_fields_are_located_and_typed() -> None:
    fields = [
        Wanted(name="price", quote="1,234.50 €", type="number"),
        Wanted(name="day", quote="3 March 2026", type="date"),
        Wanted(name="weight", quote="weighs about 2 kg"),
        Wanted(name="colour", quote="red"),
        Wanted(name="size", quote="lamp", type="number"),
    ]
    output = await extract(FakeContext(), fields, TEXT)
    values = {one["name"]: one["value"] for one in output.data["fields"]}
    assert values == {"price": 1234.5, "day": "2026-03-03", "weight": "weighs\n  about 2 kg"}
    for one in output.data["fields"]:
        assert TEXT[one["start"] : one["end"]] == one["quote"]
    assert len(output.data["problems"]) == 2
    assert "'red' does not stand in the text" in output.text


async def test_a_kept_file_is_read() -> None:
    context = FakeContext(files={"a.txt": File("a.txt", "text/plain", TEXT.encode())})
    output = await extract(context, [Wanted(name="what", quote="The lamp")], artifact="a.txt")
    assert output.data["source"] == "a.txt"
    assert output.citations == (Citation("artifact:a.txt", "a.txt", "The lamp", "0-8"),)
    with pytest.raises(ToolFailed):
        await extract(context, [Wanted(name="what", quote="The lamp")], TEXT, artifact="a.txt")
    with pytest.raises(ToolFailed, match="Nothing was recorded"):
        await extract(context, [Wanted(name="what", quote="A chair")], TEXT)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("7", 7),
        ("-7.25", -7.25),
        ("1,234", 1234),
        ("1.234,5", 1234.5),
        ("1 234 567,89 €", 1234567.89),
        ("USD 12'000.00", 12000),
        ("0,5", 0.5),
        ("1,234,567", 1234567),
        ("0.1", 0.1),
        ("12345678901234567890.12", "12345678901234567890.12"),
    ],
)
def test_numbers(quote: str, value: object) -> None:
    assert read_number(quote) == value


@pytest.mark.parametrize("quote", ["", "none", "3 of 4", "1.2.3,4,5", "."])
def test_what_is_not_one_number_is_none(quote: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_number(quote)


@pytest.mark.parametrize("quote", ["2026-03-03", "3.3.2026", "March 3rd, 2026", "3rd March 2026", "2026-03-03T10:00Z"])
def test_dates(quote: str) -> None:
    assert read_date(quote).isoformat() == "2026-03-03"


@pytest.mark.parametrize("quote", ["3/4/2026", "soon", "31.2.2026", ""])
def test_what_is_no_certain_date_is_none(quote: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of the library, or ours)
        read_date(quote)
