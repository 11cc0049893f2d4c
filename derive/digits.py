"""Several letters on one axis: places such as i·b + j, which count through a grid row by row.

In: integer expressions. Out: the letters of such a place, the most significant first, and an equation of two such
places as equations of their letters. This is what splits and merges axes: no quotient and no remainder is needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.expr import ONE, ZERO, Dim, Expr, Letter, Num, add, mul
from derive.rewrite import factors, terms
from derive.shapes import polynomial


def flat(places: Iterable[Expr], extents: Iterable[Expr]) -> Expr:
    """The row-major position of an element of a grid.

    >>> from derive.expr import fresh
    >>> a, b = Dim("a"), Dim("b"); flat((fresh(a, "i"), fresh(b, "j")), (a, b))
    b·i + j
    """
    out: Expr = ZERO
    for place, extent in zip(places, extents, strict=True):
        out = add(mul(out, extent), place)
    return out


def digits(place: Expr) -> tuple[Letter, ...] | None:
    """The letters of which ``place`` is the row-major position, if it is one: every position is met exactly once.

    >>> from derive.expr import fresh
    >>> b = Dim("b"); i, j = fresh(Dim("a"), "i"), fresh(b, "j")
    >>> digits(i * b + j), digits(i), digits(i * b + j + 1), digits(i + j)
    ((i, j), (i,), None, None)
    """
    if isinstance(place, Letter):
        return (place,)
    weights: dict[Letter, Expr] = {}
    for t in terms(polynomial(place)):
        letters = [f for f in factors(t) if isinstance(f, Letter)]
        rest = [f for f in factors(t) if f not in letters]
        if len(letters) != 1 or not all(isinstance(f, (Num, Dim)) or _power_of_dim(f) for f in rest):
            return None
        weights[letters[0]] = add(weights.get(letters[0], ZERO), mul(*rest))
    found: list[Letter] = []
    weight: Expr = ONE
    while weights:
        letter = next((x for x, w in weights.items() if w == weight), None)
        if letter is None:
            return None
        del weights[letter]
        found.append(letter)
        weight = polynomial(mul(weight, letter.extent))
    return tuple(reversed(found))


def _power_of_dim(e: Expr) -> bool:
    return bool(e.args) and isinstance(e.args[0], Dim)


def span(letters: Iterable[Letter]) -> Expr:
    """How many positions a grid of these letters has."""
    return polynomial(mul(*(x.extent for x in letters)))


def matched(left: Expr, right: Expr) -> list[tuple[Expr, Expr]] | None:
    """``left == right`` as equations of parts that mean the same; None where it is one equation as it stands.

    >>> from derive.expr import fresh
    >>> a, b = Dim("a"), Dim("b"); i, j, p, q = fresh(a, "i"), fresh(b, "j"), fresh(a, "p"), fresh(b, "q")
    >>> matched(i * b + j, p * b + q), matched(i * b + j, fresh(a * b, "k"))
    ([(i, p), (j, q)], None)
    """
    own, other = digits(left), digits(right)
    if own is None or other is None:
        return None
    pairs: list[tuple[Expr, Expr]] = []
    ends = _ends(other)
    k = m = 0
    for end, place in _ends(own).items():
        if end in ends:
            pieces = own[k:place], other[m : ends[end]]
            pairs.append((_position(pieces[0]), _position(pieces[1])))
            k, m = place, ends[end]
    return pairs if len(pairs) > 1 else None


def _position(letters: tuple[Letter, ...]) -> Expr:
    return flat(letters, (x.extent for x in letters))


def _ends(letters: tuple[Letter, ...]) -> dict[Expr, int]:
    """After how many letters how many positions are left to each value of what stands before."""
    return {span(letters[k:]): k for k in range(1, len(letters) + 1)}
