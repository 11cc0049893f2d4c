"""Sums that write: where [v == place] stands under a sum and v is a letter of the result, each term has one place.

In: a sum and the letters of its result. Out: which letters are places of its terms. Code runs over the terms and adds
where they belong, and what that costs are the terms alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.deltas import is_place
from derive.digits import digits, span
from derive.expr import Access, Compare, Expr, Letter, Reduce, add, compare, fresh, mul, split_coefficient
from derive.hoist import ordered_letters
from derive.rewrite import accesses, factors, substitute, terms
from derive.shapes import polynomial

Landing = tuple[Expr, Letter, Expr]


def landings(body: Expr, letters: Iterable[Letter]) -> list[Landing]:
    """The masks ``[v == e]`` of a sum, with ``v`` free and ``e`` a place in summed letters: each mask, ``v`` and ``e``.

    ``e`` is an affine place in letters and labels, such as ``2·i + p`` or ``t[i]``. Only integers that are checked to
    be labels count, since compiled code writes there unseen.
    """
    if not isinstance(body, Reduce) or body.op != "sum":
        return []
    free = frozenset(letters)
    found: dict[Letter, Landing] = {}
    for f in factors(body.body):
        if isinstance(f, Compare) and f.op == "==":
            for letter, place in ((f.left, f.right), (f.right, f.left)):
                if isinstance(letter, Letter) and letter in free and _lands(place, letter, body.binders):
                    found.setdefault(letter, (f, letter, place))
    return list(found.values())


def landed(e: Reduce) -> Reduce:
    """The terms of a sum alone, each at its place.

    >>> from derive.expr import Dim, compare, fresh, sum_over
    >>> from derive.program import Tensor
    >>> a, b = Dim("a"), Dim("b"); i, j, k = fresh(a, "i"), fresh(b, "j"), fresh(a * b, "k")
    >>> X, y = Tensor("X", (a, b)), Tensor("y", (a * b,))
    >>> landed(sum_over((i, j), compare("==", k, b * i + j) * X[i, j] * y[k]))
    sum[i, j] (X[i, j]·y[b·i + j])
    """
    found = landings(e, e.letters)
    if not found:
        return e
    masks = [mask for mask, _, _ in found]
    places: dict[Expr, Expr] = {letter: place for _, letter, place in found}
    return Reduce(e.op, e.binders, substitute(mul(*(f for f in factors(e.body) if f not in masks)), places))


def scattered(e: Expr, letters: Iterable[Letter]) -> Expr:
    """A sum that reads at ``v − i``, within bounds, as one over all places p that adds where v is ``i + p``.

    ``v`` is one of ``letters`` and ``i`` is summed: each term is met once, and no bound has to be looked at. A sum
    in which nothing is read like that is returned as it is.

    >>> from derive.expr import Dim, fresh, sum_over
    >>> from derive.program import Tensor
    >>> m, k = Dim("m"), Dim("k"); i, v = fresh(m, "i"), fresh(m + k - 1, "v")
    >>> y, w = Tensor("y", (m,)), Tensor("w", (k,))
    >>> scattered(sum_over((i,), Compare("<=", i, v) * Compare("<", v, i + k) * y[i] * w[v - i]), (v,))
    sum[i, p] (y[i]·w[p]·[v == p + i])
    """
    if not isinstance(e, Reduce) or e.op != "sum":
        return e
    parts, binders = factors(e.body), list(e.binders)
    for f in (f for f in parts if isinstance(f, Access)):
        for axis, place in enumerate(f.places):
            free = [x for x in ordered_letters(place) if x not in binders]
            if len(free) != 1 or free[0] not in letters or place == free[0]:
                continue
            from_there = polynomial(add(free[0], mul(-1, place)))
            extent = f.tensor.axes[axis]
            if not from_there.letters <= set(binders) or not _counts_up(from_there):
                continue
            new = fresh(extent, "p")
            inside = [polynomial(place), polynomial(add(extent, -1, mul(-1, place)))]
            term = mul(*(g for g in parts if _distance(g) not in inside))
            body = mul(substitute(term, {place: new}), compare("==", free[0], add(from_there, new)))
            return scattered(Reduce("sum", (*binders, new), body), letters)
    return e


def _counts_up(place: Expr) -> bool:
    """Whether a place grows with every letter, and there are some: i + p, not i − p."""
    moving = [t for t in terms(place) if t.letters]
    return bool(moving) and is_place(place) and all(split_coefficient(t)[0] > 0 for t in moving)


def _distance(e: Expr) -> Expr | None:
    """What a bound on places says is not negative."""
    if not isinstance(e, Compare) or e.op not in ("<", "<="):
        return None
    apart = add(e.right, mul(-1, e.left))
    return polynomial(add(apart, -1) if e.op == "<" else apart)


def once(found: Iterable[Landing], binders: tuple[Letter, ...]) -> bool:
    """Whether each element is the place of exactly one term: all letters of the sum count through whole axes."""
    letters: list[Letter] = []
    for _, letter, place in found:
        counted = digits(place)
        if counted is None or span(counted) != letter.extent:
            return False
        letters += counted
    return len(letters) == len(set(letters)) == len(binders)


def _lands(place: Expr, letter: Letter, binders: tuple[Letter, ...]) -> bool:
    checked = all(a.tensor.property("labels") is not None for a in accesses(place))
    return checked and is_place(place) and bool(place.letters) and place.letters <= set(binders)
