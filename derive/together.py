"""A factor that is a term too: w − w a² is w (1 − a²), and g − a² g with a sum g is (1 − a²) g.

In: an expression. Out: an equal one that costs no more, in which what all terms of a sum have in common stands once in
front of what is left of them, where that leaves a number: as one writes it, not as it is computed in fewer operations.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from derive.cost import cost
from derive.expr import ONE, Add, Expr, Mask, Num, Reduce, add, mul, split_coefficient, sum_over
from derive.rewrite import factors, map_children, substitute, terms, walk


def together(e: Expr) -> Expr:
    """The expression with such factors in front.

    >>> from derive.program import Tensor
    >>> w, a, b = (Tensor(x, ()).at(()) for x in "wab")
    >>> together(w - w * a**2)
    w·(-1·a^2 + 1)
    >>> together(w + b - (w + b) * a**2)
    (-1·a^2 + 1)·(b + w)
    """
    e = map_children(e, together)
    if not isinstance(e, Add) or any(isinstance(n, Mask) for n in walk(e)):
        return e
    found = _common(e) or _repeated(e)
    return e if found is None or cost(found) > cost(e) else found


def under_one_sum(e: Expr) -> Expr:
    """The expression with two sums over letters as one, where what one of them adds up is a factor of the other.

    For formulas to print: where the letters are fewer in one of them it takes fewer operations by itself.

    >>> from derive.expr import Dim, fresh, sum_over
    >>> from derive.program import Tensor
    >>> n, m = Dim("n"), Dim("m"); i, j, k = fresh(n, "i"), fresh(n, "j"), fresh(m, "k")
    >>> w, a = Tensor("w", (n,)), Tensor("a", (n, m))
    >>> under_one_sum(sum_over([i], w[i]) - sum_over([j], w[j] * a[j, k] ** 2))
    sum[j] (w[j]·(-1·a[j, k]^2 + 1))
    """
    e = map_children(e, under_one_sum)
    if not isinstance(e, Add):
        return e
    for first, second in itertools.combinations(e.args, 2):
        joined = _joined(first, second)
        if joined is not None:
            return under_one_sum(add(joined, *(t for t in e.args if t is not first and t is not second)))
    return e


def _joined(first: Expr, second: Expr) -> Expr | None:
    """The sum of two sums over as many letters, where a factor is left of it that is a number for one of them."""
    (c, one), (d, other) = split_coefficient(first), split_coefficient(second)
    if not (isinstance(one, Reduce) and isinstance(other, Reduce) and one.op == other.op == "sum"):
        return None
    if len(one.binders) != len(other.binders) or (one.tensors - other.tensors and other.tensors - one.tensors):
        return None
    for order in itertools.permutations(one.binders):
        if all(a.extent == b.extent for a, b in zip(order, other.binders, strict=True)):
            body = substitute(other.body, dict(zip(other.binders, order, strict=True)))
            both = add(mul(c, one.body), mul(d, body))
            whole = _common(both) if isinstance(both, Add) else None
            if whole is not None:
                return sum_over(one.binders, whole)
    return None


def _common(e: Add) -> Expr | None:
    """The term that all others have as their factors, in front of what they have besides."""
    for term in e.args:
        _, front = split_coefficient(term)
        own = factors(front)
        if front == ONE or any(isinstance(f, Num) for f in own):
            continue
        rest = [_without(t, own) for t in e.args]
        left = [r for r in rest if r is not None]
        if len(left) == len(rest):
            return mul(front, add(*left))
    return None


def _repeated(e: Add) -> Expr | None:
    """A sum that is a factor of one term, and whose terms are the others."""
    for term in e.args:
        for inner in factors(term):
            if isinstance(inner, Add) and set(terms(inner)) == {t for t in e.args if t is not term}:
                outer = _without(term, (inner,))
                assert outer is not None
                return mul(inner, add(ONE, outer))
    return None


def _without(t: Expr, taken: Sequence[Expr]) -> Expr | None:
    """The term without these factors; None where it lacks one."""
    left = list(factors(t))
    for f in taken:
        if f not in left:
            return None
        left.remove(f)
    return mul(*left)
