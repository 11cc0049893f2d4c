"""Putting forms together: quotients, numbers in front, ⊙ in the order in which people read.

In: finished parts. Out: one form. Nothing here looks at letters; `derive.lift` decides what may stand together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from derive import forms
from derive.expr import Add, Expr, Letter, Num, Pow, Reduce, mul, num, power, split_coefficient
from derive.rewrite import factors


def split_quotient(parts: tuple[Expr, ...]) -> tuple[list[Expr], list[Expr]]:
    """Numerator and denominator factors.

    >>> from derive.expr import Dim
    >>> n = Dim("n"); split_quotient((Num(3), power(n, -2)))
    ([3], [n^2])
    """
    top: list[Expr] = []
    bottom: list[Expr] = []
    for p in parts:
        if isinstance(p, Num) and p.value.denominator != 1:
            bottom.append(num(p.value.denominator))
            p = num(p.value.numerator)
        if isinstance(p, Pow) and isinstance(p.exponent, Num) and p.exponent.value < 0:
            bottom.append(power(p.base, mul(-1, p.exponent)))
        else:
            top.append(p)
    return top, bottom


def peel(form: forms.Form) -> tuple[bool, list[forms.Form], forms.Form]:
    """Whether it is negative, the numbers in front, and what they multiply."""
    negative, numbers = False, list[forms.Form]()
    while isinstance(form, (forms.Negative, forms.Scale)):
        if isinstance(form, forms.Negative):
            negative = not negative
        else:
            numbers.extend(form.parts[:-1])
        form = form.parts[-1]
    return negative, numbers, form


def multiplied(made: list[forms.Form], row: Letter | None, col: Letter | None) -> forms.Form:
    """⊙ of forms with these axes, numbers pulled out in front."""
    negative, numbers, cores = False, list[forms.Form](), list[forms.Form]()
    for form in made:
        minus, scalars, core = peel(form)
        negative ^= minus
        numbers.extend(scalars)
        cores.extend(core.parts if isinstance(core, forms.Hadamard) else [core])
    cores.sort(key=reading_order)
    value = cores[0] if len(cores) == 1 else forms.Hadamard(row, col, tuple(cores))
    if numbers:
        value = forms.Scale(row, col, (*spread(numbers), value))
    return forms.Negative(row, col, (value,)) if negative else value


def spread(numbers: Iterable[forms.Form]) -> list[forms.Form]:
    """Numbers beside each other, the factors of a product one by one: 2 (1 − c) x."""
    flat = (f.parts if isinstance(f, (forms.Scale, forms.Hadamard)) and f.is_scalar else (f,) for f in numbers)
    return [part for parts in flat for part in parts]


def reading_order(form: forms.Form) -> int:
    """Where a factor stands: incoming cotangents first, then tensors, sums of them, functions, sums with functions."""
    if isinstance(form, (forms.Leaf, forms.Transpose, forms.Product, forms.Broadcast)):
        cotangent = any(isinstance(p, forms.Leaf) and p.tensor.kind == "cotangent" for p in forms.walk(form))
        return 0 if cotangent else 1
    if isinstance(form, forms.Sum):
        return 5 if any(isinstance(p, (forms.Apply, forms.Share, forms.Prime)) for p in forms.walk(form)) else 3
    return 4 if isinstance(form, forms.Apply) else 2


_BIG = (forms.Product, forms.Total, forms.SquaredNorm, forms.Trace)


def scaled(value: forms.Form, numbers: list[forms.Form], below: list[forms.Form]) -> forms.Form:
    """``value`` times numbers over numbers: a fraction in front of a product and of a mean, else a division at the end.

    >>> x = forms.SquaredNorm(None, None, (forms.Ones(None, None),))
    >>> [type(scaled(x, [], [below])).__name__ for below in (forms.number(2), forms.Extent(None, None))]
    ['Quotient', 'Scale']
    """
    negative, inner, core = peel(value)
    numbers = [*numbers, *inner]
    for k, form in enumerate(numbers):
        if isinstance(form, forms.Negative):
            negative, numbers[k] = not negative, form.parts[0]
    numbers = [f for f in numbers if f != forms.number(1)]
    row, col = core.row, core.col
    if core == forms.number(1) and numbers:
        last = next((f for f in numbers if isinstance(f, _BIG)), numbers[-1])
        numbers.remove(last)
        core = last
    if below:
        divisor = forms.times(below)
        if numbers or isinstance(core, forms.Product) or (isinstance(core, _BIG) and _is_count(below)):
            numbers = [forms.Quotient(None, None, (forms.times(numbers), divisor))]
        else:
            core = forms.Quotient(row, col, (core, divisor))
    if numbers:
        core = forms.Scale(row, col, (*spread(numbers), core))
    return forms.Negative(row, col, (core,)) if negative else core


def _is_count(parts: Iterable[forms.Form]) -> bool:
    """Whether it is the number of things that a mean is taken of, or a multiple of that."""
    nodes = [node for part in parts for node in forms.walk(part)]
    known = (forms.Extent, forms.Number, forms.Constant, forms.Scale, forms.Power)
    return all(isinstance(n, known) for n in nodes) and any(isinstance(n, forms.Extent) for n in nodes)


def minus_one() -> forms.Form:
    """The number −1."""
    return forms.Negative(None, None, (forms.number(1),))


def ordered_terms(e: Add) -> list[Expr]:
    """Terms as a reader wants them: positive before negative, full rank before broadcasts, products first."""

    def place(t: Expr) -> tuple[bool, int, bool, Any]:
        coefficient, rest = split_coefficient(t)
        return coefficient < 0, -len(t.letters), not any(isinstance(f, Reduce) for f in factors(rest)), t.key

    return sorted(e.args, key=place)
