"""Sub-expressions that occur more than once in a statement, and numbers that are known when code is written.

In: a pointwise expression. Out: what deserves a name of its own, innermost first; or a number.
"""

from __future__ import annotations

import math

from derive.expr import Access, Add, Call, Const, Expr, Letter, Mask, Mul, Num, Pow, Select
from derive.rewrite import accesses

# Functions that a target may compute without branches, so that loops over them become vector code.
ELEMENTARY = ("exp", "expm1", "tanh", "log", "log1p")
_FUNCTIONS = {
    name: getattr(math, name) for name in ("exp", "log", "sin", "cos", "tan", "tanh", "erf", "log1p", "expm1")
}


def repeated(e: Expr) -> list[Expr]:
    """The sub-expressions of ``e`` worth computing once.

    Only what may be computed anywhere: a read whose place could leave its axis stays under its branch.
    """
    seen: set[Expr] = set()
    again: dict[Expr, None] = {}

    def visit(node: Expr) -> None:
        if node in seen:
            if _worth(node):
                again.setdefault(node)
            return
        seen.add(node)
        if not isinstance(node, Access):
            for child in node.children:
                visit(child)

    visit(e)
    return sorted(again, key=_size)


def _worth(e: Expr) -> bool:
    heavy = isinstance(e, (Add, Call, Select)) or (isinstance(e, Mul) and len(e.args) > 2)
    heavy = heavy or (isinstance(e, Pow) and not isinstance(e.base, (Access, Num)))
    return heavy and not isinstance(e, Mask) and bool(e.letters or accesses(e)) and _safe(e)


def _safe(e: Expr) -> bool:
    return all(isinstance(p, (Letter, Num)) for a in accesses(e) for p in a.places) and bool(accesses(e))


def _size(e: Expr) -> int:
    return 1 + sum(_size(c) for c in e.children)


def numeric(e: Expr) -> float | None:
    """The value of an expression that depends on nothing.

    >>> from derive.expr import num, power
    >>> numeric(power(num(4), num(1) / 2)), numeric(Letter(num(3), 0))
    (2.0, None)
    """
    if isinstance(e, Num):
        return float(e.value)
    if isinstance(e, Const):
        return {"pi": math.pi, "e": math.e}[e.name]
    if not isinstance(e, (Add, Mul, Pow, Call)):
        return None
    values = [numeric(c) for c in e.children]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    try:
        if isinstance(e, Add):
            return math.fsum(known)
        if isinstance(e, Mul):
            return math.prod(known)
        if isinstance(e, Pow):
            return math.pow(*known)
        return float(_FUNCTIONS[e.function.name](*known)) if e.function.name in _FUNCTIONS else None
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
