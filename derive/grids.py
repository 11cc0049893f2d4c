"""An axis that counts through a grid row by row, read as two: i, which runs over m·n, is n·p + q.

In: an expression with such a letter. Out: an equal one of the letters of rows and columns, in which what compared
places of the grid compares rows with rows and columns with columns.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from derive.deltas import at_least_zero, bounds, decided, eliminate, is_place
from derive.digits import flat
from derive.expr import (
    ZERO,
    Add,
    Compare,
    Expr,
    Letter,
    Mul,
    Num,
    Pow,
    Reduce,
    add,
    compare,
    fresh,
    mul,
    power,
    split_coefficient,
    sum_over,
)
from derive.rewrite import factors, map_children, substitute, terms
from derive.shapes import never_negative, polynomial


def grids(letter: Letter) -> Iterator[tuple[Letter, Letter]]:
    """The letters of the rows and of the columns of each grid that has as many places as the letter's axis.

    >>> from derive.expr import Dim
    >>> m, n = Dim("m"), Dim("n")
    >>> [(p.extent, q.extent) for p, q in grids(fresh(m * n, "i"))], list(grids(fresh(m, "i")))
    ([(m, n), (n, m)], [])
    """
    units = [u for f in factors(polynomial(letter.extent)) for u in _units(f)]
    seen = set[Expr]()
    for count in range(1, len(units)):
        for chosen in itertools.combinations(range(len(units)), count):
            rows = mul(*(units[k] for k in chosen))
            if rows not in seen:
                seen.add(rows)
                yield fresh(rows, letter.hint), fresh(mul(*(u for k, u in enumerate(units) if k not in chosen)))


def _units(e: Expr) -> tuple[Expr, ...]:
    """An extent's factor as often as it stands there."""
    if isinstance(e, Pow) and isinstance(e.exponent, Num):
        return (e.base,) * int(e.exponent.value)
    return (e,)


def on_grid(e: Expr, letter: Letter, row: Letter, column: Letter) -> Expr:
    """``e`` at the letter's place in that row and column.

    >>> from derive.expr import Dim
    >>> from derive.program import Tensor
    >>> m, n = Dim("m"), Dim("n"); i, k = fresh(m * n, "i"), fresh(m, "k"); p, q = fresh(m, "p"), fresh(n, "q")
    >>> x = Tensor("x", (n,)); on_grid(x[i - n * k] * compare("<=", n * k, i) * compare("<", i, n * (k + 1)), i, p, q)
    x[-1·n·k + n·p + q]·[k == p]
    >>> on_grid(sum_over([k], compare("==", i, n * k + fresh(n, "a"))), i, p, q)
    [q == a]
    """
    return _compared(substitute(e, {letter: flat((row, column), (row.extent, column.extent))}))


def _compared(e: Expr) -> Expr:
    """``e`` with comparisons of letters where they can be that, and with what they determine put in under sums."""
    e = map_children(e, _compared)
    match e:
        case Compare():
            return _of_rows(decided(_balanced(e)))
        case Mul():
            return _met(list(e.args))
        case Reduce() if e.op == "sum" and not isinstance(e.body, Add):
            parts, bound, changed = eliminate(list(factors(e.body)), list(e.binders))
            if changed:
                body = mul(*parts)
                missing = [b.extent for b in bound if b not in body.letters]
                return mul(*missing, sum_over([b for b in bound if b in body.letters], body))
    return e


def _met(parts: list[Expr]) -> Expr:
    """A product in which [a ≤ b][b ≤ a] is [a == b]."""
    orders = [p for p in parts if isinstance(p, Compare) and p.op == "<="]
    for a, b in itertools.combinations(orders, 2):
        if (a.left, a.right) == (b.right, b.left):
            return mul(compare("==", a.left, a.right), *(p for p in parts if p is not a and p is not b))
    return mul(*parts)


def _balanced(e: Compare) -> Compare:
    """An equation of places without a minus: [n·a + b == n·k + j] for [n·a + b − n·k == j]."""
    if e.op != "==" or not (is_place(e.left) and is_place(e.right)):
        return e
    parts = [(t, split_coefficient(t)[0] < 0) for t in terms(polynomial(add(e.left, mul(-1, e.right))))]
    found = compare("==", *(add(*(mul(s, t) for t, below in parts if below == (s < 0))) for s in (1, -1)))
    return found if isinstance(found, Compare) else e


def _of_rows(e: Expr) -> Expr:
    """An order of places as one of rows: [n·k ≤ n·p + q] is [k ≤ p], for q is below n."""
    if not isinstance(e, Compare) or e.op not in ("<", "<=") or not (is_place(e.left) and is_place(e.right)):
        return e
    parts = terms(polynomial(add(e.right, mul(-1, e.left), -1 if e.op == "<" else 0)))
    for unit in dict.fromkeys(x.extent for t in parts for x in t.letters if split_coefficient(t)[1] == x):
        whole = [t for t in parts if _is_multiple(t, unit)]
        rows = add(*(mul(t, power(unit, -1)) for t in whole))
        low, high = bounds(add(*(t for t in parts if t not in whole)))
        for least in (ZERO, mul(-1, unit)):  # 0 ≤ n·X + r is 0 ≤ X where 0 ≤ r < n, and 1 ≤ X where −n ≤ r < 0
            inside = never_negative(add(low, mul(-1, least))), never_negative(add(least, unit, -1, mul(-1, high)))
            if rows.letters and all(inside):
                return at_least_zero(rows if least == ZERO else add(rows, -1))
    return e


def _is_multiple(term: Expr, unit: Expr) -> bool:
    missing = Counter(u for f in factors(unit) for u in _units(f))
    missing.subtract(u for f in factors(term) for u in _units(f))
    return max(missing.values()) <= 0
