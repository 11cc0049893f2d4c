"""Differences that stand twice, one turned round: p − y − pᵀ (p − y), not p + pᵀ (y − p) − y.

In: an expression. Out: an equal one of the same cost, in which sums that are factors of the terms of a sum are turned,
a minus in front, where the sum has their terms with the other signs, or a factor that is the other way round already.
"""

from __future__ import annotations

from collections.abc import Iterator

from derive.expr import Add, Expr, Reduce, add, mul
from derive.hoist import ordered_letters, standard
from derive.rewrite import factors, map_children


def turned(e: Expr) -> Expr:
    """The expression with such sums one way round, whatever letters they stand at.

    >>> from derive.program import Tensor
    >>> p, y, a, b = (Tensor(x, ()).at(()) for x in "pyab")
    >>> turned(p + a * (y - p) - y)
    -1·a·(-1·y + p) + -1·y + p
    >>> turned(a * (y - p) + b * (p - y))
    -1·b·(-1·p + y) + a·(-1·p + y)
    """
    e = map_children(e, turned)
    if not isinstance(e, Add):
        return e
    beside, known = [_key(t) for t in e.args], set[Expr]()
    found: list[Expr] = []
    for k, term in enumerate(e.args):
        new, own = term, {*beside[:k], *beside[k + 1 :]}
        for inner in _inner_sums(term):
            other = _negative(inner)
            if _key(other) in known or {_key(t) for t in other.args} <= own:
                new, inner = mul(-1, _replaced(new, inner, other)), other
            known.add(_key(inner))
        found.append(new)
    return add(*found)


def _key(e: Expr) -> Expr:
    return standard(e, ordered_letters(e))


def _negative(e: Add) -> Add:
    found = add(*(mul(-1, t) for t in e.args))
    assert isinstance(found, Add)
    return found


def _inner_sums(term: Expr) -> Iterator[Add]:
    """The sums that are factors of a term, also below a sum over letters: what the term changes its sign with."""
    for f in factors(term):
        if isinstance(f, Add):
            yield f
        elif isinstance(f, Reduce) and f.op == "sum":
            yield from _inner_sums(f.body)


def _replaced(term: Expr, old: Expr, new: Expr) -> Expr:
    """The term with one of those sums replaced, where it stands first."""
    if isinstance(term, Reduce):
        return term.over(term.binders, _replaced(term.body, old, new))
    parts = list(factors(term))
    for k, f in enumerate(parts):
        inside = isinstance(f, Reduce) and any(s == old for s in _inner_sums(f))
        if f == old or inside:
            parts[k] = _replaced(f, old, new) if inside else new
            break
    return mul(*parts)
