"""What a root has as a square in it, in front of the root: |c| √(x² + 1) for √(c² (x² + 1)).

In: an expression as it was read. Out: an equal one, in real arithmetic exactly, in which such factors are outside.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from derive.expr import ONE, Add, Expr, Num, Pow, Reduce, add, call, mul, num, power, split_power, sum_over
from derive.extract import content
from derive.functions import ABS
from derive.rewrite import factors, map_children, terms
from derive.vanishing import Signs

_SIGNS = Signs({})


def in_front_of_roots(e: Expr) -> Expr:
    """The expression with squares in front of the roots that they stand under.

    >>> from derive.program import Tensor
    >>> x, c = (Tensor(t, ()).at(()) for t in "xc")
    >>> in_front_of_roots((c**2 * x**2 + c**2) ** num(1 / 2)), in_front_of_roots((4 * x + 4) ** num(1 / 2))
    (abs(c)·(x^2 + 1)^1/2, 2·(x + 1)^1/2)
    """
    e = map_children(e, in_front_of_roots)
    if not isinstance(e, Pow) or not isinstance(e.exponent, Num) or e.exponent.value.denominator != 2:
        return e
    squares = [f for f in _under(e.base) if _is_square(f)]
    rest = _without(e.base, mul(*squares))
    if not squares or rest == ONE:
        return e
    return mul(*(_root(f, e.exponent) for f in squares), power(rest, e.exponent))


def _under(e: Expr) -> tuple[Expr, ...]:
    """What a product, every term of a sum, or what is summed over letters has as factors."""
    if isinstance(e, Add):  # x²/4 + 1 is not longer than (x² + 4)/4
        return tuple(f for f in factors(content(e.args, False)) if not isinstance(f, Num) or f.value.denominator == 1)
    if isinstance(e, Reduce) and e.op == "sum":
        return tuple(f for f in factors(e.body) if f.letters.isdisjoint(e.binders))
    return factors(e)


def _without(e: Expr, front: Expr) -> Expr:
    """The expression divided by that."""
    if isinstance(e, Reduce):
        return sum_over(e.binders, _without(e.body, front))
    return add(*(mul(t, power(front, -1)) for t in terms(e)))


def _is_square(e: Expr) -> bool:
    base, exponent = split_power(e)
    if isinstance(e, Num):
        return e.value > 0 and e.value != 1 and _half(e.value) ** 2 == e.value
    return isinstance(exponent, Num) and exponent.value.denominator == 1 and exponent.value % 2 == 0 and base != ONE


def _half(value: Fraction) -> Fraction:
    return Fraction(isqrt(value.numerator), isqrt(value.denominator))


def _root(e: Expr, exponent: Num) -> Expr:
    """A square to a power that is half a whole number."""
    if isinstance(e, Num):
        return power(num(_half(e.value)), exponent.value * 2)
    base, own = split_power(e)
    assert isinstance(own, Num)
    times = own.value * exponent.value
    signed = times % 2 != 0 and not _SIGNS.is_positive(base)
    return power(call(ABS, base) if signed else base, num(times))
