"""Sums that write: where [v == place] stands under a sum and v is a letter of the result, each term has one place.

In: a sum and the letters of its result. Out: which letters are places of its terms. Code runs over the terms and adds
where they belong, and what that costs are the terms alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.deltas import is_place
from derive.digits import digits, span
from derive.expr import Compare, Expr, Letter, Reduce, mul
from derive.rewrite import accesses, factors, substitute

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
