"""Products multiplied out where that gives them a matrix form: over a sum, or over a sum with a Kronecker delta in it.

In: a sum of a product, or the factors of one. Out: a sum of products, or None where there is nothing to multiply out.
"""

from __future__ import annotations

from derive.contract import is_delta
from derive.expr import Add, Expr, Letter, Reduce, add, mul, reduce_
from derive.rewrite import factors, map_children


def expanded(e: Reduce) -> Expr | None:
    """The sum of a product with a sum in it, term by term; None where there is none."""
    parts = factors(e.body)
    inner = next((p for p in parts if isinstance(p, Add)), None)
    if inner is None:
        return None
    rest = [p for p in parts if p is not inner]
    return add(*(reduce_("sum", e.binders, mul(*rest, t)) for t in inner.args))


def in_contractions(e: Expr) -> Expr:
    """Σ_n (a_n X_nk + b_n Y_nk) as two sums, Xᵀ a + Yᵀ b, where every term is a product of two that share n alone.

    For formulas to print: computed in one go the sum is read once.

    >>> from derive.expr import Dim, fresh, sum_over
    >>> from derive.program import Tensor
    >>> n, k = Dim("n"), Dim("k"); i, j = fresh(n, "i"), fresh(k, "j")
    >>> a, X, Y = Tensor("a", (n,)), Tensor("X", (n, k)), Tensor("Y", (n, k))
    >>> in_contractions(sum_over([i], a[i] * X[i, j] + a[i] * Y[i, j]))
    sum[i] (a[i]·Y[i, j]) + sum[i] (a[i]·X[i, j])
    >>> in_contractions(sum_over([i], X[i, j] * Y[i, j] + X[i, j]))
    sum[i] (X[i, j]·Y[i, j] + X[i, j])
    """
    e = map_children(e, in_contractions)
    if not (isinstance(e, Reduce) and e.op == "sum" and isinstance(e.body, Add)):
        return e
    bound = set(e.binders)
    for t in e.body.args:
        if len({f.letters for f in factors(t) if f.letters & bound}) < 2:
            return e
    return add(*(reduce_("sum", e.binders, t) for t in e.body.args))


def multiplied_out(parts: tuple[Expr, ...]) -> Expr | None:
    """The product of factors, term by term over a sum that has a Kronecker delta in it; None where there is none.

    So is a sum of outer products beside vectors: p pᵀ − p∘² pᵀ for diag(p) (1 1ᵀ − p 1ᵀ) diag(p).

    >>> from derive.expr import Dim, compare, fresh
    >>> i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> multiplied_out((Dim("a"), compare("==", i, j) - Dim("b")))
    -1·a·b + a·[i == j]
    """
    found = next((p for p in parts if isinstance(p, Add) and any(map(is_delta, _all_factors(p)))), None)
    found = found or _outer(parts)
    if found is None:
        return None
    rest = [p for p in parts if p is not found]
    return add(*(mul(*rest, t) for t in found.args))


def _outer(parts: tuple[Expr, ...]) -> Add | None:
    """A sum of products of vectors among factors that are vectors otherwise, of both letters; None for any other.

    So is a sum with a term of one letter only, beside a vector of the other: y (aᵀ − yᵀ A) is an outer product there.
    """
    sums = [p for p in parts if len(p.letters) > 1]
    beside = frozenset[Letter]().union(*(p.letters for p in parts if p not in sums))
    if len(sums) != 1 or not isinstance(sums[0], Add):
        return None
    if beside == sums[0].letters:
        return sums[0] if all(len(f.letters) < 2 for f in _all_factors(sums[0])) else None
    return sums[0] if len(beside) == 1 and any(t.letters == sums[0].letters - beside for t in sums[0].args) else None


def _all_factors(e: Add) -> list[Expr]:
    return [f for t in e.args for f in factors(t)]
