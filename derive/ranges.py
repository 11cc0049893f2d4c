"""Places inside their axes: what integer expressions are known to stay above 0, also under conditions.

In: expressions whose places are polynomials in letters and extents. Out: the accesses that may leave their axis.
A condition on letters counts where it is enough by itself: [1 <= i] keeps x[i-1] inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from derive.deltas import bounds, is_place
from derive.expr import ZERO, Access, Compare, Expr, Mask, Mul, Select, add, mul, negate
from derive.shapes import never_negative, size

Facts = tuple[Expr, ...]


def holds(e: Expr, sizes: Mapping[str, int]) -> bool:
    """Whether a polynomial in extents is at least 0: for all of them, or with these sizes.

    >>> from derive.expr import Dim
    >>> holds(Dim("n") - 1, {}), holds(Dim("n") - 3, {}), holds(Dim("n") - 3, {"n": 4})
    (True, False, True)
    """
    if never_negative(e):
        return True
    known = size(e, sizes)
    return known is not None and known >= 0


def leaving(e: Expr, sizes: Mapping[str, int], facts: Facts = ()) -> Iterator[tuple[Access, int, Expr]]:
    """The accesses in ``e`` that are not known to be inside: access, axis, and the distance that may fall below 0.

    >>> from derive.expr import Dim, compare, fresh, select
    >>> from derive.program import Tensor
    >>> n = Dim("n"); x = Tensor("x", (n,)); i = fresh(n, "i")
    >>> [a for a, _, _ in leaving(x[i - 1] * x[i], {})]
    [x[i + -1]]
    >>> list(leaving(select(compare("<", 0, i), x[i - 1], 0), {}))
    []
    """
    if isinstance(e, Select):
        yield from leaving(e.mask, sizes, facts)
        yield from leaving(e.chosen, sizes, facts + _facts(e.mask))
        yield from leaving(e.other, sizes, facts + _facts(negate(e.mask)))
        return
    if isinstance(e, Mul):
        held = facts + tuple(f for m in e.args if isinstance(m, Mask) for f in _facts(m))
        for c in e.args:
            yield from leaving(c, sizes, facts if isinstance(c, Mask) else held)
        return
    if isinstance(e, Access):
        for axis, (place, extent) in enumerate(zip(e.places, e.tensor.axes, strict=True)):
            if is_place(place):
                for distance in (place, add(extent, -1, mul(-1, place))):
                    if not _above(distance, sizes, facts):
                        yield e, axis, bounds(distance)[0]
    for c in e.children:
        yield from leaving(c, sizes, facts)


def _above(e: Expr, sizes: Mapping[str, int], facts: Facts) -> bool:
    """Whether ``e`` is at least 0 by itself, or is at least as large as something that is."""
    return any(holds(bounds(add(e, mul(-1, f)))[0], sizes) for f in (ZERO, *facts))


def _facts(mask: Expr) -> Facts:
    """What is at least 0 where the mask is 1."""
    if isinstance(mask, Mul):
        return tuple(f for m in mask.args for f in _facts(m))
    if not isinstance(mask, Compare) or not (is_place(mask.left) and is_place(mask.right)):
        return ()
    above = add(mask.right, mul(-1, mask.left))
    below = mul(-1, above)
    if mask.op == "<":
        return (add(above, -1),)
    if mask.op == "<=":
        return (above,)
    if mask.op == "==":
        return above, below
    low, high = bounds(above)
    return (add(above, -1),) * (low == ZERO) + (add(below, -1),) * (high == ZERO)
