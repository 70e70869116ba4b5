"""Arithmetic on text. Python's parser reads the expression; nothing of it is ever run as Python.

Values are fractions, so 0.1 + 0.2 is 0.3 and 1/3*3 is 1; what has no exact value (roots, logarithms, angles) is
computed to some 40 digits. Only the nodes named here have a meaning, only the names in `FUNCTIONS` and `CONSTANTS`
exist, and every number is bounded before it is made: an expression can't take long, however short it is written.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, localcontext
from fractions import Fraction

from tools.builtin.functions import (
    CONSTANTS,
    FUNCTIONS,
    PRECISION,
    CalculationError,
    Number,
    bounded,
    power,
)

MAX_LENGTH = 1000
_MAX_DEPTH = 100
_MAX_EXPONENT = 4000
_SHOWN_DIGITS = 15
_EXACT_DIGITS = 40
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\N{NO-BREAK SPACE}": " "})

Value = Number | list["Value"]


@dataclass(frozen=True, slots=True)
class Result:
    """A value as people write it, and whether it is all of it."""

    text: str
    is_exact: bool


def evaluate(expression: str) -> Result:
    """Give the expression's value; raises CalculationError, which says what is wrong with it."""
    text = expression.strip().translate(_SPELLINGS)
    if len(text) > MAX_LENGTH:
        raise CalculationError(f"the expression is longer than {MAX_LENGTH} characters.")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is no expression"
        raise CalculationError(f"{reason}. Write numbers, + - * / // % ** and parentheses.") from error
    try:
        value = _Evaluation(text).value(tree.body, 0)
    except (DecimalException, OverflowError) as error:
        raise CalculationError("a value in it is too large.") from error
    if isinstance(value, list):
        raise CalculationError("its value is a list. Numbers are written without commas between thousands.")
    return _written(value)


class _Evaluation:
    """One walk over the tree. The text is kept because the tree holds numbers as floats only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, node: ast.expr, depth: int) -> Value:
        if depth > _MAX_DEPTH:
            raise CalculationError("it is nested too deep.")
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name(id=name):
                return _constant_named(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._number(operand, depth)
                return Number(-number.value, is_exact=number.is_exact)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._number(operand, depth)
            case ast.BinOp(op=operator):
                return _operation(operator)(self._number(node.left, depth), self._number(node.right, depth))
            case ast.Call():
                return self._call(node, depth)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(item, depth + 1) for item in items]
        raise CalculationError(f"{_excerpt(self._text, node)} is not arithmetic.")

    def _number(self, node: ast.expr, depth: int) -> Number:
        value = self.value(node, depth + 1)
        if isinstance(value, list):
            raise CalculationError("a list stands where a number is expected. Thousands are written without commas.")
        return value

    def _constant(self, node: ast.Constant) -> Number:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise CalculationError(f"{_excerpt(self._text, node)} is not a number.")
        if isinstance(node.value, int):
            return bounded(Fraction(node.value))
        # The parsed float has lost digits; the text has not.
        number = Decimal((ast.get_source_segment(self._text, node) or "").replace("_", ""))
        if number and abs(number.adjusted()) > _MAX_EXPONENT:
            raise CalculationError("a number in it is too large or too small.")
        return bounded(Fraction(number))

    def _call(self, node: ast.Call, depth: int) -> Number:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise CalculationError(f"{_excerpt(self._text, node)} is not arithmetic.")
        name = node.func.id
        function = FUNCTIONS.get(name)
        if function is None:
            raise CalculationError(f"there is no function {name[:40]!r}. Functions: {', '.join(sorted(FUNCTIONS))}.")
        return function(name, _flat([self.value(argument, depth + 1) for argument in node.args]))


def _constant_named(name: str) -> Number:
    try:
        return CONSTANTS[name]
    except KeyError:
        raise CalculationError(f"there is no value named {name[:40]!r}. Names: {', '.join(CONSTANTS)}.") from None


def _flat(values: Sequence[Value]) -> list[Number]:
    numbers: list[Number] = []
    for value in values:
        numbers.extend(_flat(value) if isinstance(value, list) else [value])
    return numbers


def _operation(operator: ast.operator) -> Callable[[Number, Number], Number]:
    if isinstance(operator, ast.BitXor):
        raise CalculationError("^ has no meaning here. A power is written with **.")
    operation = _OPERATIONS.get(type(operator))
    if operation is None:
        raise CalculationError("only + - * / // % ** are known.")
    return operation


def _divisor(number: Number) -> Fraction:
    if number.value == 0:
        raise CalculationError("it divides by zero.")
    return number.value


_OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: lambda a, b: bounded(a.value + b.value, a, b),
    ast.Sub: lambda a, b: bounded(a.value - b.value, a, b),
    ast.Mult: lambda a, b: bounded(a.value * b.value, a, b),
    ast.Div: lambda a, b: bounded(a.value / _divisor(b), a, b),
    ast.FloorDiv: lambda a, b: bounded(Fraction(a.value // _divisor(b)), a, b),
    ast.Mod: lambda a, b: bounded(a.value % _divisor(b), a, b),
    ast.Pow: power,
}


def _excerpt(text: str, node: ast.expr) -> str:
    return repr((ast.get_source_segment(text, node) or "this")[:60])


def _written(number: Number) -> Result:
    value = number.value
    if value.denominator == 1 and (number.is_exact or abs(value) < 10**_SHOWN_DIGITS):
        return Result(str(value.numerator), number.is_exact)
    exact = _terminating(value) if number.is_exact else None
    if exact is not None:
        return Result(exact, is_exact=True)
    with localcontext(Context(prec=PRECISION)):
        quotient = Decimal(value.numerator) / Decimal(value.denominator)
        rounded = Context(prec=_SHOWN_DIGITS, rounding=ROUND_HALF_EVEN).plus(quotient)
    return Result(_plain(rounded), is_exact=False)


def _terminating(value: Fraction) -> str | None:
    """Write a fraction as a decimal if that ends within a few digits."""
    context = Context(prec=_EXACT_DIGITS)
    with localcontext(context):
        quotient = Decimal(value.numerator) / Decimal(value.denominator)
    return _plain(quotient) if Fraction(quotient) == value else None


def _plain(number: Decimal) -> str:
    number = number.normalize(Context(prec=_EXACT_DIGITS))
    if -7 <= number.adjusted() <= _EXACT_DIGITS:
        return f"{number:f}"
    return f"{number:e}"
