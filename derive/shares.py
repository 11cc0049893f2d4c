"""Each one's share in a total: f(u) over the sum of f(u) along an axis, where the catalogue has a name for it.

In: an expression. Out: an equal one with such quotients, softmax(u), as nodes of their own, which `derive.lift` gives a
form. Which f and which name is read off the catalogue's declarations.
"""

from __future__ import annotations

import re
from functools import cache

from derive import forms
from derive.contract import Lifts, NoFormError
from derive.expr import Call, Expr, Letter, Mul, Num, Reduce, mul, power, split_power
from derive.expr.base import part
from derive.hoist import canonical_binders
from derive.library.losses import COMPOSITES
from derive.rewrite import factors, map_children, substitute


@cache
def declared() -> dict[str, str]:
    """The name of each function's shares.

    >>> declared()
    {'exp': 'softmax'}
    """
    found = {name: re.fullmatch(r"(\w+)\(x\[k\]\) / sum\[j\] \1\(x\[j\]\)", d.text) for name, d in COMPOSITES.items()}
    return {match[1]: name for name, match in found.items() if match}


class Ratio(Expr):
    """One's share in a total: a call, divided by the sum of such calls along an axis."""

    __slots__ = ()
    rank = 98

    call: Call = part(0, "The one.")
    total: Reduce = part(1, "The total.")

    def __repr__(self) -> str:
        return f"{self.call!r}/({self.total!r})"

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Ratio(*children)


def is_total(e: Expr) -> bool:
    """Whether it is the sum along one axis of a function whose shares have a name."""
    if not isinstance(e, Reduce) or e.op != "sum" or len(e.binders) != 1 or not isinstance(e.body, Call):
        return False
    return e.body.function.name in declared() and e.binders[0] in e.body.letters


def with_shares(e: Expr) -> Expr:
    """The expression with a share in the place of each one and its total, also where one of a product is summed.

    >>> from derive.expr import Dim, call, fresh, sum_over
    >>> from derive.functions import PRIMITIVES
    >>> from derive.program import Tensor
    >>> x = Tensor("x", (Dim("n"),)); i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> one, other = (call(PRIMITIVES["exp"], x[a]) for a in (i, j))
    >>> with_shares(one ** 2 / sum_over([j], other))
    exp(x[i])·exp(x[i])/(sum[j] exp(x[j]))
    """
    e = map_children(e, with_shares)
    return mul(*_shared(e.args)) if isinstance(e, Mul) else e


def all_shares(e: Expr) -> bool:
    """Whether each function value in it whose shares have a name stands in a share."""

    def alone(node: Expr) -> bool:
        if isinstance(node, Ratio):
            return any(map(alone, node.call.arguments))
        own = isinstance(node, Call) and node.function.name in declared()
        return own or any(map(alone, node.children))

    return not alone(with_shares(e))


def _shared(parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
    for below in parts:
        total, exponent = split_power(below)
        n = _whole(exponent)
        if not is_total(total) or not n:
            continue
        assert isinstance(total, Reduce)
        for k, above in enumerate(parts):
            found = _divided(above, total, -n)
            if found is not None:
                new, used = found
                rest = (p for j, p in enumerate(parts) if j != k and p is not below)
                return _shared(factors(mul(*rest, power(total, n + used), new)))
    return parts


def _whole(exponent: Expr) -> int:
    """The exponent where it is a whole number, else 0."""
    return int(exponent.value) if isinstance(exponent, Num) and exponent.value.denominator == 1 else 0


def _divided(e: Expr, total: Reduce, most: int) -> tuple[Expr, int] | None:
    """``e`` over as much as possible of ``total`` to that power, and the power used; None where it has no share."""
    if isinstance(e, Reduce) and e.op == "sum":
        inner = factors(e.body)
        for k, f in enumerate(inner):
            found = _divided(f, total, most) if total.letters.isdisjoint(e.binders) else None
            if found is not None and not isinstance(f, Reduce):
                return e.over(e.binders, mul(*(g for j, g in enumerate(inner) if j != k), found[0])), found[1]
        return None
    base, exponent = split_power(e)
    n = _whole(exponent)
    if not isinstance(base, Call) or n * most <= 0 or not _is_one_of(base, total):
        return None
    used = min(n, most) if n > 0 else max(n, most)
    return mul(power(Ratio(base, total), used), power(base, n - used)), used


def _is_one_of(call: Call, total: Reduce) -> bool:
    return _axis(call, total) is not None


def _axis(call: Call, total: Reduce) -> Letter | None:
    """The letter of ``call`` that is summed in its total; None where it is not one of those that are."""
    (bound,) = total.binders
    assert isinstance(total.body, Call)
    if call.function != total.body.function:
        return None
    for letter in sorted(call.letters - total.letters, key=lambda a: a.key):
        moved = substitute(total.body, {bound: letter})
        if letter.extent == bound.extent and canonical_binders(moved) == canonical_binders(call):
            return letter
    return None


def share(lifts: Lifts, e: Ratio, row: Letter | None, col: Letter | None) -> forms.Form:
    """The form of a share, with exactly these axes."""
    letter = _axis(e.call, e.total)
    if letter is None:
        raise NoFormError("a share in the total of others")
    ways = [(row, col), (col, row)] if row is not None else [(col, row), (row, col)]  # p, not the p of xᵀ
    matrix = None not in (row, col)
    if matrix:
        ways.sort(key=lambda axes: axes[0] == letter)  # the shares of a row, where both ways are as good

    def way(axes: tuple[Letter | None, Letter | None]) -> tuple[tuple[int, int, int], forms.Form]:
        inside = lifts.fit(e.call.arguments[0], *axes)
        over = axes.index(letter) if matrix else None
        found = forms.Share(axes[0], axes[1], (inside,), e.call.function, declared()[e.call.function.name], over)
        form = found if axes == (row, col) else forms.transpose(found)
        return forms.effort(inside if matrix else form), form

    return min(map(way, ways), key=lambda found: found[0])[1]
