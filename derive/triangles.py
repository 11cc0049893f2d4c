"""Triangles of matrices: where a condition says that one letter is at most another plus a number.

In: a condition, or a sum with such conditions. Out: which letters it orders, and sums over i < j joined with what
stands at i = j. `derive.lift` reads them as ``tril`` and ``triu``: zeros are a structure, no factors.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from derive.expr import Add, Compare, Expr, Letter, Num, Reduce, add, compare, mul, split_coefficient, sum_over
from derive.normal import Normalizer, TooLargeError
from derive.rewrite import factors, substitute, terms


@dataclass(frozen=True)
class Order:
    """``low ≤ high + offset``, of two letters."""

    low: Letter
    high: Letter
    offset: int = 0


def order_of(e: Expr) -> Order | None:
    """What a condition says of two letters; None where it says anything else.

    >>> from derive.expr import Dim, compare, fresh
    >>> i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> found = order_of(compare("<", j, i + 2)); found.low == j, found.high == i, found.offset
    (True, True, 1)
    """
    if not isinstance(e, Compare) or e.op not in ("<", "<=", ">", ">="):
        return None
    less, more = (e.left, e.right) if e.op.startswith("<") else (e.right, e.left)
    letters: dict[int, Letter] = {}
    offset = -1 if len(e.op) == 1 else 0
    for t in terms(add(less, mul(-1, more))):
        coefficient, rest = split_coefficient(t)
        if isinstance(rest, Letter) and abs(coefficient) == 1 and int(coefficient) not in letters:
            letters[int(coefficient)] = rest
        elif isinstance(t, Num) and t.value.denominator == 1:
            offset -= int(t.value)
        else:
            return None
    return Order(letters[1], letters[-1], offset) if len(letters) == 2 else None


def joined(e: Add, late: Callable[[Expr], bool] = lambda term: False) -> Expr:
    """``e`` with Σ_{i<j} and the same terms at i = j as one sum Σ_{i≤j}.

    Of several such sums one takes the diagonal, one that is ``late`` only where there is no other.

    >>> from derive.expr import Dim, compare, fresh
    >>> from derive.program import Tensor
    >>> n = Dim("n"); A, x = Tensor("A", (n, n)), Tensor("x", (n,)); i, j = fresh(n, "i"), fresh(n, "j")
    >>> found = joined(sum_over([j], compare("<", j, i) * A[i, j] * x[j]) + A[i, i] * x[i])
    >>> found == sum_over([j], compare("<=", j, i) * A[i, j] * x[j])
    True
    """
    parts, normal = list(e.args), Normalizer()
    for term in sorted(e.args, key=late):
        found = _with_diagonal(term) if term in parts else None
        if found is None:
            continue
        diagonal, whole = found
        for other in parts:
            if other is not term and other.letters == diagonal.letters and _same(other, diagonal, normal):
                parts[parts.index(term)] = whole
                parts.remove(other)
                break
    return add(*parts)


def _same(e: Expr, other: Expr, normal: Normalizer) -> bool:
    with suppress(TooLargeError):
        return normal(e) == normal(other)
    return False


def _with_diagonal(term: Expr) -> tuple[Expr, Expr] | None:
    """What a sum over i < j would have at i = j, and the sum with it; None where it is no such sum."""
    coefficient, rest = split_coefficient(term)
    outside = factors(rest)
    sums = [f for f in outside if isinstance(f, Reduce) and f.op == "sum"]
    inner = factors(sums[0].body) if len(sums) == 1 else outside
    binders = sums[0].binders if len(sums) == 1 else ()
    around = [coefficient, *(f for f in outside if f not in sums)] if sums else [coefficient]
    for mask in inner:
        order = order_of(mask)
        if order is None or order.offset != -1 or order.low.extent != order.high.extent:
            continue
        old, new = (order.low, order.high) if order.low in binders else (order.high, order.low)
        others = [f for f in inner if f is not mask]
        at_it = [substitute(f, {old: new}) for f in others] if old in binders else [compare("==", old, new), *others]
        kept = [b for b in binders if b != old]
        weak = compare("<=", order.low, order.high)
        diagonal = mul(*around, sum_over(kept, mul(*at_it)))
        return diagonal, mul(*around, sum_over(binders, mul(weak, *others)))
    return None
