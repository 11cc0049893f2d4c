"""The rational step: common factors cancelled where a sum stands below a fraction line.

In: an expanded expression. Out: an equal sum of products whose denominators are factored. SymPy's polynomials do
the work, with every other sub-expression opaque; without sums below the line nothing needs them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp

from derive.expr import Add, Expr, Num, Pow, add, mul, num, power
from derive.rewrite import factors, terms
from derive.scalar import Symbols


def has_sum_below(e: Expr) -> bool:
    """Whether a negative power of a sum is a factor of some term."""
    return any(_is_below(f) for t in terms(e) for f in factors(t))


def _is_below(f: Expr) -> bool:
    return (
        isinstance(f, Pow)
        and isinstance(f.base, Add)
        and isinstance(f.exponent, Num)
        and f.exponent.value < 0
        and f.exponent.value.denominator == 1
    )


@lru_cache(maxsize=4096)
def cancel(e: Expr) -> Expr:
    """``e`` with common factors cancelled; the numerator expanded, the denominator factored.

    >>> from derive.program import Tensor
    >>> p = Tensor("p", ()).at(()); cancel(add(1, -p**2) * power(1 - p, -1))
    p + 1
    """
    symbols = Symbols()
    numerator, denominator = sp.fraction(sp.cancel(sp.together(_rational(e, symbols))))
    scale, bases = sp.factor_list(denominator) if denominator.free_symbols else (denominator, [])
    below = [num_of(scale, symbols, -1)]
    for base, exponent in bases:
        sign, oriented = _orient(symbols.from_sympy(base))
        below.append(mul(power(num(sign), exponent), power(oriented, -exponent)))
    bottom = mul(*below)
    top = symbols.from_sympy(sp.expand(numerator))
    return add(*(mul(t, bottom) for t in terms(top)))


def num_of(s: Any, symbols: Symbols, exponent: int) -> Expr:
    """A SymPy number to a power."""
    return power(symbols.from_sympy(s), exponent)


def _orient(e: Expr) -> tuple[int, Expr]:
    """The sign and the form of a denominator: 1 − p, not p − 1."""
    constant = next((t for t in terms(e) if isinstance(t, Num)), None)
    first = constant if constant is not None else terms(e)[0]
    coefficient = factors(first)[0]
    negative = isinstance(coefficient, Num) and coefficient.value < 0
    return (-1, mul(-1, e)) if negative else (1, e)


def _rational(e: Expr, symbols: Symbols) -> Any:
    """``e`` for SymPy with everything but sums, products and whole powers opaque."""
    out = []
    for t in terms(e):
        parts = []
        for f in factors(t):
            base, exponent = (f.base, f.exponent) if isinstance(f, Pow) else (f, num(1))
            if isinstance(f, Num):
                parts.append(sp.Rational(f.value.numerator, f.value.denominator))
            elif isinstance(exponent, Num) and exponent.value.denominator == 1:
                inner = _rational(base, symbols) if isinstance(base, Add) else symbols.symbol(base)
                parts.append(inner ** int(exponent.value))
            else:
                parts.append(symbols.symbol(f))
        out.append(sp.Mul(*parts))
    return sp.Add(*out)
