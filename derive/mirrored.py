"""Hessians that look symmetric: 4 (aᵀ x) (a xᵀ + x aᵀ) + …, not a product of sums on one side of it.

In: the element of a symmetric matrix, a sum. Out: an equal one, multiplied out where each term has its transpose among
the terms only then.
"""

from __future__ import annotations

import itertools

from derive.contract import is_delta
from derive.expr import Expr, Letter, add, mul
from derive.hoist import canonical_binders
from derive.rewrite import factors, substitute, terms

MOST = 12  # terms of a sum that still reads well


def mirrored(e: Expr, row: Letter, col: Letter) -> Expr:
    """The element of a matrix by these letters as a sum that is its own transpose, term by term, if it can be one.

    >>> from derive.expr import Dim, fresh
    >>> from derive.program import Tensor
    >>> n = Dim("n"); i, j = fresh(n, "i"), fresh(n, "j"); a, x = Tensor("a", (n,)), Tensor("x", (n,))
    >>> mirrored((a[i] + x[i]) * a[j] + a[i] * x[j], i, j) == a[i] * a[j] + a[i] * x[j] + x[i] * a[j]
    True
    """
    if row.extent != col.extent or _is_mirrored(e, row, col):
        return e
    found = add(*(t for term in terms(e) for t in _multiplied_out(term, row, col)))
    return found if len(terms(found)) <= MOST and _is_mirrored(found, row, col) else e


def _is_mirrored(e: Expr, row: Letter, col: Letter) -> bool:
    swapped = substitute(e, {row: col, col: row})
    first, second = ({_plain(t, row, col) for t in terms(x)} for x in (e, swapped))
    return first == second


def _plain(term: Expr, row: Letter, col: Letter) -> Expr:
    """The term with one letter on a diagonal, and bound letters that do not tell it from its transpose."""
    parts = factors(term)
    if any(is_delta(f) and f.letters == {row, col} for f in parts):
        parts = tuple(f if is_delta(f) else substitute(f, {col: row}) for f in parts)
    return canonical_binders(mul(*parts))


def _multiplied_out(term: Expr, row: Letter, col: Letter) -> list[Expr]:
    """The term over all sums among its factors that have a letter of the matrix; what is diagonal is as it is."""
    if any(is_delta(f) and f.letters == {row, col} for f in factors(term)):
        return [term]
    choices = [terms(f) if f.letters & {row, col} else (f,) for f in factors(term)]
    found = [mul(*c) for c in itertools.product(*choices)] if len(choices) <= MOST else [term]
    return found if len(found) == 1 else [t for f in found for t in _multiplied_out(f, row, col)]
