"""Polynomials as products: σ (σ (y + 1 − σ) − y) is σ (1 − σ) (σ − y).

In: an expression. Out: an equal one in which a polynomial of few things stands as the product of its factors, where
that takes fewer operations. SymPy factors; all that is no sum, product or power is a symbol to it.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from derive.cost import cost
from derive.expr import Add, Expr, Letter, Mul, Num, Pow, add, mul
from derive.rewrite import map_children, walk
from derive.scalar import Symbols

MAX_LENGTH = 40
MAX_SYMBOLS = 5


def factored(e: Expr) -> Expr:
    """The expression with polynomials in it as products.

    >>> from derive.program import Tensor
    >>> p, y = (Tensor(x, ()).at(()) for x in "py")
    >>> factored(p * (p * (y + 1 - p) - y))
    p·(-1·p + 1)·(-1·y + p)
    """
    if isinstance(e, Mul):  # what has other letters is no part of the same polynomial
        groups: dict[frozenset[Letter], list[Expr]] = {}
        numbers = [f for f in e.args if isinstance(f, Num)]  # a sum would take one in
        for f in e.args:
            if not isinstance(f, Num):
                groups.setdefault(f.letters, []).append(f)
        e = mul(*numbers, *(_shorter(mul(*g)) for g in groups.values()))
    return map_children(_shorter(e) if isinstance(e, Add) else e, factored)


def _shorter(e: Expr) -> Expr:
    found = _factored(e) if any(isinstance(n, Add) for n in walk(e)) else None
    return e if found is None or cost(found) >= cost(e) else found


def _factored(e: Expr) -> Expr | None:
    """The product that SymPy finds; None where there is none, or too much to look at."""
    symbols = Symbols()
    if _length(e) > MAX_LENGTH:
        return None
    polynomial = _polynomial(e, symbols)
    if len(symbols.symbols) > MAX_SYMBOLS:
        return None
    found = sp.factor(polynomial)
    return _upright(symbols, found) if found.is_Mul or found.is_Pow else None


def _length(e: Expr) -> int:
    """The nodes of the polynomial, what is a symbol counted once."""
    inside = isinstance(e, (Add, Mul)) or (isinstance(e, Pow) and isinstance(e.base, (Add, Mul)))
    return 1 + sum(map(_length, e.children)) if inside else 1


def _polynomial(e: Expr, symbols: Symbols) -> Any:
    match e:
        case Num():
            return sp.Rational(e.value.numerator, e.value.denominator)
        case Add():
            return sp.Add(*(_polynomial(t, symbols) for t in e.args))
        case Mul():
            return sp.Mul(*(_polynomial(f, symbols) for f in e.args))
        case Pow() if isinstance(e.exponent, Num) and e.exponent.value > 0 and e.exponent.value.denominator == 1:
            return _polynomial(e.base, symbols) ** int(e.exponent.value)
    return symbols.symbol(e)


def _upright(symbols: Symbols, found: Any) -> Expr:
    """The factors, one of them turned round for a minus in front of all: (1 − p) (p − y) for −(p − 1) (p − y)."""
    parts = [symbols.from_sympy(f) for f in sp.Mul.make_args(found)]
    if any(isinstance(f, Num) and f.value < 0 for f in parts):
        for k, f in enumerate(parts):
            if isinstance(f, Add) and any(isinstance(t, Num) for t in f.args):
                turned = add(*(mul(-1, t) for t in f.args))
                return mul(-1, *parts[:k], turned, *parts[k + 1 :])
    return mul(*parts)
