"""The lines between two forms of a derivative, as one writes them by hand.

In: an expression. Out: the same value in another form: sums over one letter less, one fraction line, a product that
begins with the output. None of them decides what is told in the end; every one is tested like any other step.
"""

from __future__ import annotations

from collections.abc import Iterator

from derive.deltas import eliminate
from derive.expr import Add, Expr, Letter, Mask, Num, Pow, Reduce, add, fresh_like, mul, power, sum_over
from derive.program import reads
from derive.rewrite import factors, map_children, substitute, terms, walk


def collapsed(e: Expr) -> Expr:
    """``e`` with the Kronecker deltas of summed letters eliminated, and nothing else done."""
    e = map_children(e, collapsed)
    if isinstance(e, Reduce) and e.op == "sum":
        parts, bound, changed = eliminate(list(factors(e.body)), list(e.binders))
        return sum_over(bound, mul(*parts)) if changed else e
    return e


def collapsing(e: Expr) -> Iterator[Expr]:
    """The sums of ``e`` collapse one after the other: what is left each time."""
    while (shorter := _collapsed_once(e)) != e:
        e = shorter
        yield e


def _collapsed_once(e: Expr) -> Expr:
    """``e`` with the first letter of each sum gone that a Kronecker delta makes equal to another one."""
    if isinstance(e, Reduce) and e.op == "sum":
        for b in e.binders:
            parts, bound, changed = eliminate(list(factors(e.body)), [b])
            if changed:
                return sum_over([*(a for a in e.binders if a != b), *bound], mul(*parts))
    return map_children(e, _collapsed_once)


def in_front(e: Expr) -> Expr:
    """``e`` with what depends on nothing in front of its sums."""
    e = map_children(e, in_front)
    if not (isinstance(e, Reduce) and e.op == "sum"):
        return e
    fixed = [f for f in factors(e.body) if not f.letters and not reads(f)]
    return mul(*fixed, sum_over(e.binders, mul(*(f for f in factors(e.body) if f not in fixed)))) if fixed else e


def common_denominator(e: Expr) -> Expr:
    """A sum of fractions over one fraction line, the numerators as they are; ``e`` itself if there is nothing to do.

    >>> from derive.program import Tensor
    >>> y, p = Tensor("y", ()).at(()), Tensor("p", ()).at(())
    >>> common_denominator(y / p - (1 - y) / (1 - p)) == (y * (1 - p) - (1 - y) * p) / (p * (1 - p))
    True
    """
    for f in factors(e):
        if isinstance(f, Add):
            rest = [g for g in factors(e) if g is not f]
            below: dict[Expr, int] = {}
            for t in f.args:
                for base, k in _denominator(t).items():
                    below[base] = max(below.get(base, 0), k)
            if below and any(_denominator(t) != below for t in f.args):
                bottom = mul(*(power(b, k) for b, k in below.items()))
                top = add(*(_times(t, below) for t in f.args))
                return mul(*rest, top, power(bottom, -1))
    return e


def _times(term: Expr, below: dict[Expr, int]) -> Expr:
    """A term times what is below the line of all."""
    own = _denominator(term)
    above = [f for f in factors(term) if not (isinstance(f, Pow) and f.base in own)]
    return mul(*above, *(power(b, k - own.get(b, 0)) for b, k in below.items()))


def _denominator(term: Expr) -> dict[Expr, int]:
    return {
        f.base: -int(f.exponent.value)
        for f in factors(term)
        if isinstance(f, Pow)
        and isinstance(f.exponent, Num)
        and f.exponent.value < 0
        and f.exponent.value.denominator == 1
        and reads(f.base)
    }


def is_fraction(e: Expr) -> bool:
    """Whether it is one fraction, or no fraction at all, without cases and without fractions in its sums."""
    sums = [f for f in factors(e) if isinstance(f, Add)]
    nested = any(_denominator(n) for s in sums for n in walk(s))
    return len(terms(e)) == 1 and not nested and not any(isinstance(n, Mask) for n in walk(e))


def swapped(e: Expr, one: Letter, other: Letter) -> Expr:
    """``e`` with two letters exchanged."""
    between = fresh_like(one)
    return substitute(substitute(substitute(e, {one: between}), {other: one}), {between: other})


def is_led_by(e: Expr, letter: Letter, other: Letter) -> bool:
    """Whether every factor of a product that is no sum depends on ``letter`` and none of them on ``other``."""
    alone = [f for f in factors(e) if not isinstance(f, Add) and f.letters & {letter, other}]
    return bool(alone) and all(letter in f.letters and other not in f.letters for f in alone)
