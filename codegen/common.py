"""Sub-expressions that occur more than once in a statement.

In: a pointwise expression. Out: what deserves a name of its own, innermost first.
"""

from __future__ import annotations

from derive.expr import Access, Add, Call, Expr, Letter, Mask, Mul, Num, Pow, Select
from derive.rewrite import accesses

# Functions that a target may compute without branches, so that loops over them become vector code.
ELEMENTARY = ("exp", "expm1", "tanh", "log", "log1p")


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
