"""Each one's share in a total: f(u) over the sum of f(u) along an axis, where the catalogue has a name for it.

In: the factors of a product. Out: the same with such quotients as one factor, softmax(u). Which f and which name is
read off the catalogue's declarations.
"""

from __future__ import annotations

import re
from functools import cache

from derive import forms
from derive.contract import Lifts, lifted
from derive.expr import Call, Expr, Letter, Num, Reduce, mul, power, split_power
from derive.hoist import canonical_binders
from derive.library.losses import COMPOSITES
from derive.rewrite import factors, substitute


@cache
def declared() -> dict[str, str]:
    """The name of each function's shares.

    >>> declared()
    {'exp': 'softmax'}
    """
    found = {name: re.fullmatch(r"(\w+)\(x\[k\]\) / sum\[j\] \1\(x\[j\]\)", d.text) for name, d in COMPOSITES.items()}
    return {match[1]: name for name, match in found.items() if match}


def with_shares(lifts: Lifts, parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The factors, with a share in the place of its two parts, also where it is one factor of a sum.

    Not where diagonals are sought: what is lifted has no letters to be made equal any more.
    """
    for below in () if lifts.diagonals else parts:
        total, exponent = split_power(below)
        if not isinstance(exponent, Num) or exponent.value > -1 or exponent.value.denominator != 1:
            continue
        if not isinstance(total, Reduce) or total.op != "sum" or len(total.binders) != 1:
            continue
        if not isinstance(total.body, Call) or total.body.function.name not in declared():
            continue
        for k, above in enumerate(parts):
            new = _divided(lifts, above, total)
            if new is not None:
                left = () if exponent.value == -1 else (power(total, exponent.value + 1),)
                return with_shares(lifts, (*(p for j, p in enumerate(parts) if j != k and p is not below), *left, new))
    return parts


def _divided(lifts: Lifts, e: Expr, total: Reduce) -> Expr | None:
    """``e`` divided by the total of what is a factor of it, or of what it sums; None where it is not."""
    if isinstance(e, Reduce) and e.op == "sum":
        inner = factors(e.body)
        for k, f in enumerate(inner):
            found = _share(lifts, f, total) if isinstance(f, Call) and total.letters.isdisjoint(e.binders) else None
            if found is not None:
                return e.over(e.binders, mul(*(g for j, g in enumerate(inner) if j != k), found))
        return None
    return _share(lifts, e, total) if isinstance(e, Call) else None


def _share(lifts: Lifts, call: Call, total: Reduce) -> Expr | None:
    (bound,) = total.binders
    assert isinstance(total.body, Call)
    if call.function != total.body.function or len(call.letters) > 2:
        return None
    for letter in sorted(call.letters - total.letters, key=lambda a: a.key):
        moved = substitute(total.body, {bound: letter})
        if letter.extent == bound.extent and canonical_binders(moved) == canonical_binders(call):
            others: list[Letter | None] = [x for x in call.letters if x != letter]
            other = others[0] if others else None
            choices = [(letter, other)] if other is None else [(letter, other), (other, letter)]
            made = (lifts.fit(call.arguments[0], *axes) for axes in choices)
            part = min(made, key=forms.effort)
            over = None if other is None else int(part.col == letter)
            name = declared()[call.function.name]
            return lifted(forms.Share(part.row, part.col, (part,), call.function, name, over))
    return None
