"""The functions and constants of the calculator, on bounded fractions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction

PRECISION = 40
_MAX_BITS = 14_000  # Just under the 4,300 digits that Python writes out.
_MAX_FACTORIAL = 1_500
_MAX_DIGITS = 1_000
_NOISE = 1e-15


class CalculationError(ArithmeticError):
    """The expression has no value here; the message says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value, and whether it is exact."""

    value: Fraction
    is_exact: bool = True


def bounded(value: Fraction, *sources: Number) -> Number:
    """Make a number of a fraction that is not too large; it is exact if all it was made of is."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise CalculationError("a value in it is too large.")
    return Number(value, all(source.is_exact for source in sources))


def power(base: Number, exponent: Number) -> Number:
    """Raise to a power. The size is known before the power is taken."""
    if exponent.value.denominator == 1:
        times = int(exponent.value)
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        # The result has at least this many bits; 0, 1 and -1 stay small, whatever the exponent.
        if (bits - 1) * abs(times) > _MAX_BITS:
            raise CalculationError("a power in it is too large.")
        if base.value == 0 and times < 0:
            raise CalculationError("it divides by zero.")
        return bounded(Fraction(base.value**times), base, exponent)
    if base.value < 0:
        raise CalculationError("a root of a negative number is not real.")
    if exponent.value == Fraction(1, 2):
        return _sqrt(base)
    return _by_decimal(lambda x, y: x**y, base, exponent)


def _by_decimal(function: Callable[..., Decimal], *numbers: Number) -> Number:
    with localcontext(Context(prec=PRECISION, Emax=6_000, Emin=-6_000)):
        result = function(*(Decimal(n.value.numerator) / Decimal(n.value.denominator) for n in numbers))
    return Number(bounded(Fraction(result)).value, is_exact=False)


def _by_float(function: Callable[[float], float], number: Number) -> Number:
    try:
        result = function(float(number.value))
    except (ValueError, OverflowError) as error:
        raise CalculationError("a value in it is out of range.") from error
    if not math.isfinite(result):
        raise CalculationError("a value in it is too large.")
    if abs(result) < _NOISE < abs(number.value):
        result = 0.0  # sin(pi), computed with a pi that ends somewhere
    # repr gives the digits that count; those behind are noise of the binary form.
    return Number(Fraction(Decimal(repr(result))), is_exact=False)


def _sqrt(number: Number) -> Number:
    value = number.value
    if value < 0:
        raise CalculationError("a root of a negative number is not real.")
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return bounded(Fraction(top, bottom), number)
    return _by_decimal(Decimal.sqrt, number)


def _cbrt(number: Number) -> Number:
    value = abs(number.value)
    root = _by_decimal(lambda x: x ** (Decimal(1) / 3) if x else Decimal(0), Number(value)).value
    near = Fraction(round(root))
    exact = near**3 == value
    size = near if exact else root
    return Number(-size if number.value < 0 else size, is_exact=exact and number.is_exact)


def _positive(number: Number) -> Number:
    if number.value <= 0:
        raise CalculationError("a logarithm of what is not positive does not exist.")
    return number


def _log(number: Number, base: Number | None = None) -> Number:
    if base is None:
        return _by_decimal(Decimal.ln, _positive(number))
    if base.value == 1:
        raise CalculationError("a logarithm to base 1 does not exist.")
    return _snapped(number, base, _by_decimal(lambda x, y: x.ln() / y.ln(), _positive(number), _positive(base)))


def _snapped(number: Number, base: Number, found: Number) -> Number:
    """Give the whole number that a logarithm surely is, so that log10(1000) is 3."""
    near = round(found.value)
    if abs(found.value - near) < Fraction(1, 10**30) and abs(near) < _MAX_BITS:
        try:
            if power(base, Number(Fraction(near))).value == number.value:
                return bounded(Fraction(near), number, base)
        except CalculationError:
            return found
    return found


def _log10(number: Number) -> Number:
    return _log(number, Number(Fraction(10)))


def _log2(number: Number) -> Number:
    return _log(number, Number(Fraction(2)))


def _exp(number: Number) -> Number:
    return _by_decimal(Decimal.exp, number)


def _round(number: Number, digits: Number | None = None) -> Number:
    places = _whole(digits) if digits else 0
    if abs(places) > _MAX_DIGITS:
        raise CalculationError(f"round takes at most {_MAX_DIGITS} digits.")
    scale = Fraction(10) ** places
    # Half up, as people round by hand, and away from zero on the negative side.
    size = math.floor(abs(number.value) * scale + Fraction(1, 2)) / scale
    return bounded(Fraction(size if number.value >= 0 else -size), number)


def _whole(number: Number) -> int:
    if number.value.denominator != 1:
        raise CalculationError("a whole number is expected where a fraction stands.")
    return int(number.value)


def _factorial(number: Number) -> Number:
    count = _whole(number)
    if not 0 <= count <= _MAX_FACTORIAL:
        raise CalculationError(f"factorial takes 0 to {_MAX_FACTORIAL}.")
    return bounded(Fraction(math.factorial(count)), number)


def _mean(numbers: Sequence[Number]) -> Number:
    return bounded(_sum(numbers).value / len(numbers), *numbers)


def _sum(numbers: Sequence[Number]) -> Number:
    total = Number(Fraction(0))
    for number in numbers:
        total = bounded(total.value + number.value, total, number)
    return total


def _median(numbers: Sequence[Number]) -> Number:
    ordered = sorted(number.value for number in numbers)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return bounded(middle, *numbers)


def _of_whole(function: Callable[..., int]) -> Callable[[Sequence[Number]], Number]:
    return lambda numbers: bounded(Fraction(function(*map(_whole, numbers))), *numbers)


Function = Callable[[str, Sequence[Number]], Number]


def _takes(least: int, most: int, function: Callable[..., Number]) -> Function:
    def call(name: str, numbers: Sequence[Number]) -> Number:
        if not least <= len(numbers) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise CalculationError(f"{name} takes {count} number{'' if most == 1 else 's'}, not {len(numbers)}.")
        return function(*numbers)

    return call


def _takes_many(function: Callable[[Sequence[Number]], Number]) -> Function:
    def call(name: str, numbers: Sequence[Number]) -> Number:
        if not numbers:
            raise CalculationError(f"{name} takes at least one number.")
        return function(numbers)

    return call


def _angle(function: Callable[[float], float]) -> Function:
    return _takes(1, 1, lambda number: _by_float(function, number))


CONSTANTS = {
    "pi": Number(Fraction("3.1415926535897932384626433832795028841971693993751"), is_exact=False),
    "e": Number(Fraction("2.7182818284590452353602874713526624977572470936999"), is_exact=False),
}
CONSTANTS["tau"] = Number(2 * CONSTANTS["pi"].value, is_exact=False)

_HALF_CIRCLE = CONSTANTS["pi"].value / 180

FUNCTIONS: dict[str, Function] = {
    "abs": _takes(1, 1, lambda n: Number(abs(n.value), n.is_exact)),
    "acos": _angle(math.acos),
    "asin": _angle(math.asin),
    "atan": _angle(math.atan),
    "cbrt": _takes(1, 1, _cbrt),
    "ceil": _takes(1, 1, lambda n: bounded(Fraction(math.ceil(n.value)), n)),
    "cos": _angle(math.cos),
    "degrees": _takes(1, 1, lambda n: Number(bounded(n.value / _HALF_CIRCLE).value, is_exact=False)),
    "exp": _takes(1, 1, _exp),
    "factorial": _takes(1, 1, _factorial),
    "floor": _takes(1, 1, lambda n: bounded(Fraction(math.floor(n.value)), n)),
    "gcd": _takes_many(_of_whole(math.gcd)),
    "lcm": _takes_many(_of_whole(math.lcm)),
    "ln": _takes(1, 1, _log),
    "log": _takes(1, 2, _log),
    "log10": _takes(1, 1, _log10),
    "log2": _takes(1, 1, _log2),
    "max": _takes_many(lambda numbers: max(numbers, key=lambda n: n.value)),
    "mean": _takes_many(_mean),
    "median": _takes_many(_median),
    "min": _takes_many(lambda numbers: min(numbers, key=lambda n: n.value)),
    "pow": _takes(2, 2, power),
    "radians": _takes(1, 1, lambda n: Number(bounded(n.value * _HALF_CIRCLE).value, is_exact=False)),
    "round": _takes(1, 2, _round),
    "sin": _angle(math.sin),
    "sqrt": _takes(1, 1, _sqrt),
    "sum": _takes_many(_sum),
    "tan": _angle(math.tan),
}
