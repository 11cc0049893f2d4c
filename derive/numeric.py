"""Numbers that are known before anything runs: what an expression is that depends on nothing.

In: an expression. Out: its value as a float; or the expression with the values of the model's constants put in.
"""

from __future__ import annotations

import math

from derive.expr import Add, Call, Const, Expr, Mul, Num, Pow
from derive.rewrite import map_children

_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS = {
    name: getattr(math, name) for name in ("exp", "log", "sin", "cos", "tan", "tanh", "erf", "log1p", "expm1")
}


def numeric(e: Expr) -> float | None:
    """The value of an expression that depends on nothing.

    >>> from derive.expr import Letter, num, power
    >>> numeric(power(num(4), num(1) / 2)), numeric(Letter(num(3), 0))
    (2.0, None)
    """
    if isinstance(e, Num):
        return float(e.value)
    if isinstance(e, Const):
        return _CONSTANTS[e.name] if e.value is None else numeric(e.value)
    if not isinstance(e, (Add, Mul, Pow, Call)):
        return None
    values = [numeric(c) for c in e.children]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    try:
        if isinstance(e, Add):
            return math.fsum(known)
        if isinstance(e, Mul):
            return math.prod(known)
        if isinstance(e, Pow):
            return math.pow(*known)
        return float(_FUNCTIONS[e.function.name](*known)) if e.function.name in _FUNCTIONS else None
    except (ValueError, OverflowError, ZeroDivisionError):
        return None


def with_values(e: Expr) -> Expr:
    """``e`` with the value of each constant of the model in the place of its name.

    >>> from derive.expr import num
    >>> with_values(2 * Const("c", num(1) / 4))
    1/2
    """
    if isinstance(e, Const) and e.value is not None:
        return e.value
    return map_children(e, with_values)


def named_constant(name: str, value: Expr) -> Expr:
    """What a model's constant stands for: itself where a formula is better with its name, else its value.

    Its value stands where it is not a positive number (a sign is to be seen, a size cancels with others), and where
    it is 1, 2 or 1/2, which cancel with what derivatives bring.

    >>> from derive.expr import num
    >>> named_constant("nu", num(1) / 100), named_constant("half", num(1) / 2)
    (nu, 1/2)
    """
    number = numeric(value)
    simple = isinstance(value, Num) and max(value.value.numerator, value.value.denominator) <= 2
    return value if number is None or number <= 0 or simple else Const(name, with_values(value))
