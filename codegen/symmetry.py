"""Whether an expression stays the same when two of its letters are exchanged; decided by normal forms.

In: an expression and two letters. Out: yes, or not known.
"""

from __future__ import annotations

from derive.contract import is_delta
from derive.expr import ONE, Expr, Letter, Reduce, add, mul
from derive.normal import Normalizer, TooLargeError
from derive.rewrite import factors, substitute, terms


def is_symmetric(e: Expr, a: Letter, b: Letter) -> bool:
    """Whether an expression is the same with two letters of equal extent exchanged.

    >>> from derive.expr import Dim, compare, fresh
    >>> from derive.program import Tensor
    >>> n = Dim("n"); x, i, j = Tensor("x", (n,)), fresh(n, "i"), fresh(n, "j")
    >>> is_symmetric(x[i] * (compare("==", i, j) - x[j]), i, j), is_symmetric(x[i] - x[j], i, j)
    (True, False)
    """
    if a.extent != b.extent:
        return False
    try:
        return _canonical(e, a, b) == _canonical(substitute(e, {a: b, b: a}), a, b)
    except TooLargeError:
        return False


def _canonical(e: Expr, a: Letter, b: Letter) -> Expr:
    """The normal form, with the first letter for both where a delta says that they are equal."""
    normal = Normalizer()
    found = normal(e)

    def one(term: Expr) -> Expr:
        delta = next((f for f in _deep(term) if is_delta(f) and f.letters == {a, b}), None)
        return term if delta is None else mul(delta, substitute(substitute(term, {delta: ONE}), {b: a}))

    return normal(add(*map(one, terms(found))))


def _deep(term: Expr) -> list[Expr]:
    """The factors of a term, and those under its sums."""
    return [g for f in factors(term) for g in (_deep(f.body) if isinstance(f, Reduce) else [f])]
