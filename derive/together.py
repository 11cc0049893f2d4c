"""A factor that is a term too: w − w a² is w (1 − a²), and g − a² g with a sum g is (1 − a²) g.

In: an expression. Out: an equal one that costs no more, in which what all terms of a sum have in common stands once in
front of what is left of them, where that leaves a number: as one writes it, not as it is computed in fewer operations.
"""

from __future__ import annotations

from collections.abc import Sequence

from derive.cost import cost
from derive.expr import ONE, Add, Expr, Mask, Num, add, mul, split_coefficient
from derive.rewrite import factors, map_children, terms, walk


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
