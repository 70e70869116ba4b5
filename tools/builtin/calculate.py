"""The tool `calculate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.builtin.arithmetic import evaluate
from tools.errors import ToolFailed
from tools.registry import tool
from tools.types import ToolOutput


@tool(effect="none", trust="trusted", kind="act", timeout=10)
def calculate(expression: Annotated[str, Field(min_length=1, max_length=1000)]) -> ToolOutput:
    """Calculate the value of an arithmetic expression, exactly where that is possible.

    Args:
        expression: Numbers with + - * / // % ** and parentheses; sqrt, cbrt, abs, round(x, digits), floor, ceil, min,
            max, sum, mean, median, log(x, base), ln, log2, log10, exp, sin, cos, tan, radians, degrees, factorial,
            gcd, lcm; pi and e. round goes half up. Lists are written [1, 2, 3].
    """
    try:
        value = evaluate(expression)
    except ArithmeticError as error:
        raise ToolFailed(f"This can't be calculated: {error}") from error
    sign = "=" if value.is_exact else "≈"
    return ToolOutput(
        text=f"{expression.strip()} {sign} {value.text}",
        data={"expression": expression, "result": value.text, "exact": value.is_exact},
    )
