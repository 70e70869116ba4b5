"""Sums in a goal, put into the notation of the calculator. Nothing is computed here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_FUNCTION = r"(?:sqrt|log10|log2|log|ln|exp|abs|round|floor|ceil|min|max)"
_TOKEN = re.compile(
    rf"\s*(?:(?P<function>{_FUNCTION})\s*(?=\()|(?P<number>{_NUMBER})(?P<percent>%)?(?![\w])|(?P<open>\()|(?P<close>\))|"
    r"(?P<operator>\*\*|//|[-+*/^×÷·–−%]|x(?=\s))|(?P<comma>,(?=\s*[\d(-])))",
    re.IGNORECASE,
)
_START = re.compile(rf"(?<![\w.,$€£#/:-])(?:{_FUNCTION}\s*\(|\(?\s*-?\(*\s*\d)", re.IGNORECASE)
_TRIGGER = re.compile(r"\b(?:calculate|compute|evaluate|work out|what is|what's|how much is|solve)\W*$", re.IGNORECASE)
_DATE = re.compile(r"\b\d{1,4}([-/.])\d{1,2}\1\d{1,4}\b")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "–": "-", "−": "-", "x": "*", "X": "*"})

_SAID = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (rf"({_NUMBER})\s*(?:%|percent|per\s+cent)\s+of\s+({_NUMBER})", r"(\1 / 100 * \2)"),
        (rf"(?:the\s+)?square\s+root\s+of\s+({_NUMBER})", r"sqrt(\1)"),
        (rf"({_NUMBER})\s+squared\b", r"(\1 ** 2)"),
        (rf"({_NUMBER})\s+cubed\b", r"(\1 ** 3)"),
        (r"(?<=\d)\s+(?:raised\s+)?to\s+the\s+power\s+of\s+(?=\d)", " ** "),
        (r"(?<=[\d)])\s+plus\s+(?=[\d(-])", " + "),
        (r"(?<=[\d)])\s+minus\s+(?=[\d(-])", " - "),
        (r"(?<=[\d)])\s+(?:times|multiplied\s+by)\s+(?=[\d(-])", " * "),
        (r"(?<=[\d)])\s+divided\s+by\s+(?=[\d(-])", " / "),
    )
)
_SERIES = re.compile(
    rf"\b(?P<what>sum|average|mean|product)\s+of\s+(?P<items>{_NUMBER}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){_NUMBER})+)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Run:
    """Tokens that read as one sum, up to `end`, the last place where the sum was whole."""

    parts: list[str] = field(default_factory=list)
    end: int = 0
    whole: int = 0
    operators: int = 0
    is_written_as_sum: bool = False
    wants_value: bool = True
    brackets: list[bool] = field(default_factory=list)
    """For each open bracket, whether it is a function's."""

    def take(self, token: re.Match[str]) -> bool:
        """Take the next token; False if it can't come here."""
        kind = "number" if token.lastgroup == "percent" else token.lastgroup
        raw = token.group().strip()
        taken = self._value(kind, raw, token) if self.wants_value else self._after_value(kind, raw, token)
        if taken and not self.wants_value and not self.brackets:
            self.end, self.whole = token.end(), len(self.parts)
        return taken

    def _value(self, kind: str | None, raw: str, token: re.Match[str]) -> bool:
        if kind == "number":
            self.parts.append(_number(token))
            self.wants_value = False
        elif kind == "function":
            self.parts.append(raw.lower())
            self.is_written_as_sum = True
        elif kind == "open":
            self.brackets.append(bool(self.parts) and self.parts[-1].isalnum())
            self.parts.append("(")
        elif kind == "operator" and raw in "-–−":
            self.parts.append("-")
        else:
            return False
        return True

    def _after_value(self, kind: str | None, raw: str, token: re.Match[str]) -> bool:
        if kind == "close" and self.brackets:
            self.parts.append(")")
            self.brackets.pop()
        elif kind == "operator":
            sign = "**" if raw == "^" else raw.translate(_SIGNS)
            self.parts.append(f" {sign} ")
            self.operators += 1
            self.is_written_as_sum = self.is_written_as_sum or token.group()[0].isspace() or sign in ("*", "**")
            self.wants_value = True
        elif kind == "comma" and self.brackets and self.brackets[-1]:
            self.parts.append(", ")
            self.wants_value = True
        else:
            return False
        return True


def find_expressions(text: str) -> tuple[list[str], str]:
    """Give the sums that a text asks for, and the text without them."""
    said = _SERIES.sub(_series, text)
    for pattern, replacement in _SAID:
        said = pattern.sub(replacement, said)
    dates = [match.span() for match in _DATE.finditer(said)]
    found: list[str] = []
    rest: list[str] = []
    at = 0
    while (start := _START.search(said, at)) is not None:
        begin = start.start()
        run = None if any(a <= begin < b for a, b in dates) else _read(said, begin)
        if run is None or not _is_sum(run, said[:begin]):
            step = max(start.end(), at + 1)
            rest.append(said[at:step])
            at = step
            continue
        rest.append(said[at:begin] + " ")
        found.append("".join(run.parts[: run.whole]).strip())
        at = run.end
    rest.append(said[at:])
    return (found, "".join(rest)) if found else ([], text)


def _read(text: str, begin: int) -> _Run | None:
    """Read the longest sum that starts here."""
    run, at = _Run(), begin
    while (token := _TOKEN.match(text, at)) is not None and run.take(token):
        at = token.end()
    return run if run.whole else None


def _is_sum(run: _Run, before: str) -> bool:
    """Is it a sum, and not a range, a ratio or a part number?"""
    text = "".join(run.parts[: run.whole])
    if not re.search(r"\d\)* [-+*/%]|[a-z0-9]\(", text):
        return False
    return run.is_written_as_sum or "(" in text or run.operators > 1 or _TRIGGER.search(before) is not None


def _number(token: re.Match[str]) -> str:
    number = token["number"].replace(",", "")
    return f"({number} / 100)" if token["percent"] else number


def _series(match: re.Match[str]) -> str:
    items = [item.replace(",", "") for item in re.findall(_NUMBER, match["items"])]
    what = match["what"].lower()
    joined = f"({(' * ' if what == 'product' else ' + ').join(items)})"
    return f"{joined} / {len(items)}" if what in ("average", "mean") else joined
