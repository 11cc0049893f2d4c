"""Products multiplied out where that gives them a matrix form: over a sum, or over a sum with a Kronecker delta in it.

In: a sum of a product, or the factors of one. Out: a sum of products, or None where there is nothing to multiply out.
"""

from __future__ import annotations

from derive.contract import is_delta
from derive.expr import Add, Expr, Reduce, add, mul, reduce_
from derive.rewrite import factors


def expanded(e: Reduce) -> Expr | None:
    """The sum of a product with a sum in it, term by term; None where there is none."""
    parts = factors(e.body)
    inner = next((p for p in parts if isinstance(p, Add)), None)
    if inner is None:
        return None
    rest = [p for p in parts if p is not inner]
    return add(*(reduce_("sum", e.binders, mul(*rest, t)) for t in inner.args))


def multiplied_out(parts: tuple[Expr, ...]) -> Expr | None:
    """The product of factors, term by term over a sum that has a Kronecker delta in it; None where there is none.

    >>> from derive.expr import Dim, compare, fresh
    >>> i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> multiplied_out((Dim("a"), compare("==", i, j) - Dim("b")))
    -1·a·b + a·[i == j]
    """
    found = next((p for p in parts if isinstance(p, Add) and any(map(is_delta, _all_factors(p)))), None)
    if found is None:
        return None
    rest = [p for p in parts if p is not found]
    return add(*(mul(*rest, t) for t in found.args))


def _all_factors(e: Add) -> list[Expr]:
    return [f for t in e.args for f in factors(t)]
