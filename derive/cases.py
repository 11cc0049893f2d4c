"""Terms under a condition and under its opposite as one of two values: where(x < w, 1/w, 2 w x).

In: an expression. Out: an equal one for a person to read, with one comparison less for each such pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from derive.expr import (
    MINUS_ONE,
    ONE,
    Access,
    Add,
    Compare,
    Expr,
    Mask,
    Mul,
    Num,
    Select,
    add,
    mul,
    negate,
    num,
    select,
    split_coefficient,
)
from derive.extract import extrema
from derive.rewrite import factors, map_children, terms


def with_cases(e: Expr, asked: Callable[[Mask], bool] = lambda mask: True) -> Expr:
    """The expression with cases, of the conditions that are ``asked`` for.

    >>> from derive.expr import compare
    >>> from derive.program import Tensor
    >>> x, w, a = (Tensor(t, ()).at(()) for t in "xwa")
    >>> with_cases(compare("<", x, w) * a + compare("<=", w, x) * w * a)
    (a if [x < w] else w·a)
    """
    e = in_cases(map_children(e, lambda c: with_cases(c, asked)), asked)
    return mul(*number_within(factors(e))) if isinstance(e, Mul) else e


def number_within(parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The factors of a product, a number in front as part of a choice between two numbers.

    >>> from derive.expr import Dim, compare
    >>> number_within(factors(select(compare("<", Dim("m"), Dim("n")), 200, 1) * Dim("n") / 100))
    (n, (2 if [m < n] else 1/100))
    """
    number, choices = mul(*(f for f in parts if isinstance(f, Num))), [f for f in parts if _is_of_numbers(f)]
    if number in (ONE, MINUS_ONE) or len(choices) != 1:
        return parts
    whole = choices[0]
    sign, size = (-1, mul(-1, number)) if split_coefficient(number)[0] < 0 else (1, number)
    rest = (f for f in parts if f is not whole and not isinstance(f, Num))
    within = select(whole.mask, mul(size, whole.chosen), mul(size, whole.other))
    return (*((MINUS_ONE,) if sign < 0 else ()), *rest, within)


def _is_of_numbers(e: Expr) -> TypeGuard[Select]:
    return isinstance(e, Select) and isinstance(e.chosen, Num) and isinstance(e.other, Num)


def in_cases(e: Expr, asked: Callable[[Mask], bool]) -> Expr:
    """The terms of one sum that are such cases together."""
    if not isinstance(e, Add):
        return e
    masks = {m for t in e.args for m in factors(t) if isinstance(m, Mask) and asked(m)}
    for mask in sorted(masks, key=_order):
        opposite = negate(mask)
        if opposite not in masks:
            continue
        chosen = [t for t in e.args if mask in factors(t)]
        other = [t for t in e.args if opposite in factors(t) and t not in chosen]
        if chosen and other:
            sides = [add(*(_without(t, m) for t in own)) for m, own in ((mask, chosen), (opposite, other))]
            rest = (t for t in e.args if t not in chosen and t not in other)
            return in_cases(add(select(mask, *sides), *rest), asked)
    return e


def term_by_term(e: Expr) -> Expr:
    """Sums without conditions among their numbers: x + max(0, x) for x (1 + [0 < x]).

    >>> from derive.expr import compare
    >>> from derive.program import Tensor
    >>> x, t = (Tensor(t, ()).at(()) for t in "xt")
    >>> term_by_term(x * (1 + compare("<", t, x)) - t)
    x·[t < x] + -1·t + x
    """
    new = map_children(e, term_by_term)
    if isinstance(new, Add) and any(_apart(t) is not None for t in terms(e)):
        return _by_condition(new)
    return _apart(new) or new


def _apart(e: Expr) -> Expr | None:
    """An element times such a sum, multiplied out; None for anything else."""
    number, rest = split_coefficient(e)
    parts = factors(rest)
    for one, other in (parts, parts[::-1]) if len(parts) == 2 else ():
        if isinstance(one, Access) and isinstance(other, Add) and _counts(other):
            return extrema(add(*(mul(num(number), one, t) for t in other.args)))
    return None


def _by_condition(e: Add) -> Expr:
    """Terms under one condition together: (x − y) [c] for x [c] − y [c]."""
    for mask in dict.fromkeys(f for t in e.args for f in factors(t) if isinstance(f, Mask)):
        here = [t for t in e.args if mask in factors(t)]
        if 1 < len(here) < len(e.args):
            inside = add(*(_without(t, mask) for t in here))
            found = add(mul(mask, inside), *(t for t in e.args if t not in here))
            return _by_condition(found) if isinstance(found, Add) else found
    return e


def _counts(e: Add) -> bool:
    """Whether a condition stands among numbers."""
    numbers = [isinstance(t, Num) for t in e.args]
    return any(numbers) and all(
        n or isinstance(split_coefficient(t)[1], Mask) for n, t in zip(numbers, e.args, strict=True)
    )


def depends(mask: Mask) -> bool:
    """Whether a condition is one of values, not of places alone."""
    return bool(mask.tensors)


def _order(mask: Mask) -> tuple[bool, object]:
    """Strict orders and equalities in front: where(k = 0, a, b)."""
    return not (isinstance(mask, Compare) and mask.op in ("<", "==")), mask.key


def _without(term: Expr, mask: Expr) -> Expr:
    return mul(*(f for f in factors(term) if f != mask))
