"""Conditions as numbers, and choices by them.

In: two sides and a relation. Out: a mask that is 1 where it holds and 0 elsewhere, written with one of four relations;
what is known at once (between numbers, of a letter with itself) is decided at once.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from derive.expr.base import ONE, ZERO, Add, Dim, Expr, ExprLike, Mask, Num, as_expr, part
from derive.expr.letters import Letter


class Compare(Mask):
    """``left op right`` with op one of ``< <= == !=``; both other orders are written with these."""

    __slots__ = ()
    rank = 10

    def __repr__(self) -> str:
        return f"[{self.left!r} {self.op} {self.right!r}]"

    op: str = part(0, "The relation.")
    left: Expr = part(1, "The left side.")
    right: Expr = part(2, "The right side.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.op, self.left.key, self.right.key)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return compare(self.op, *children)


class Not(Mask):
    """The complement of a mask that is not a single comparison."""

    __slots__ = ()
    rank = 11

    def __repr__(self) -> str:
        return f"not {self.args[0]!r}"

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return negate(children[0])


class Training(Mask):
    """1 where a model is trained and 0 where it is used; which of the two is decided before anything is derived."""

    __slots__ = ()
    rank = 15

    def __repr__(self) -> str:
        return "training"


class Select(Expr):
    """``chosen if mask else other``: only the chosen branch counts."""

    __slots__ = ()
    rank = 12

    def __repr__(self) -> str:
        return f"({self.chosen!r} if {self.mask!r} else {self.other!r})"

    mask: Expr = part(0, "The condition.")
    chosen: Expr = part(1, "The value where the condition holds.")
    other: Expr = part(2, "The value elsewhere.")

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return select(*children)


TRAINING = Training()
_FLIPPED = {">": "<", ">=": "<="}
_NEGATED = {"<": "<=", "<=": "<", "==": "!=", "!=": "=="}
_RELATIONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def compare(op: str, left: ExprLike, right: ExprLike) -> Expr:
    """The mask ``[left op right]``, decided where both are numbers or alike."""
    a, b = as_expr(left), as_expr(right)
    if op in _FLIPPED:
        op, a, b = _FLIPPED[op], b, a
    if isinstance(a, Num) and isinstance(b, Num):
        return ONE if _RELATIONS[op](a.value, b.value) else ZERO
    if a == b and isinstance(a, (Dim, Letter)):
        return ONE if op in ("<=", "==") else ZERO
    if op in ("==", "!=") and b.key < a.key:
        a, b = b, a
    return Compare(op, a, b)


def negate(mask: Expr) -> Expr:
    """1 where ``mask`` is 0, and 0 where it is 1."""
    if isinstance(mask, Num):
        return ONE if mask.value == 0 else ZERO
    if isinstance(mask, Compare):
        op = _NEGATED[mask.op]
        a, b = (mask.right, mask.left) if mask.op in ("<", "<=") else (mask.left, mask.right)
        return Compare(op, a, b)
    if isinstance(mask, Not):
        return mask.args[0]  # type: ignore[no-any-return]
    return Not(mask)


def extremum(e: Select) -> tuple[str, Expr, Expr] | None:
    """A choice of the larger or smaller of two: ``max`` or ``min``, the one that counts where they tie, the other.

    >>> n, k = Dim("n"), Dim("k"); extremum(Select(compare("<=", n, k), k, n))
    ('max', k, n)
    """
    if not isinstance(e.mask, Compare) or e.mask.op not in ("<", "<="):
        return None
    sides = e.mask.left, e.mask.right
    if (e.chosen, e.other) not in (sides, sides[::-1]):
        return None
    first, second = (e.chosen, e.other) if e.mask.op == "<=" else (e.other, e.chosen)
    return "max" if e.chosen == e.mask.right else "min", first, second


def sign_ends(e: Expr) -> tuple[Expr, Expr] | None:
    """``(a, b)`` where ``e`` is [a < b] − [b < a], the sign of b − a.

    >>> n, k = Dim("n"), Dim("k"); sign_ends(compare("<", k, n) - compare("<", n, k))
    (k, n)
    """
    if not isinstance(e, Add) or len(e.args) != 2:
        return None
    for above, below in (e.args, e.args[::-1]):
        if isinstance(above, Compare) and above.op == "<" and below == -compare("<", above.right, above.left):
            return above.left, above.right
    return None


def select(mask: ExprLike, chosen: ExprLike, other: ExprLike) -> Expr:
    """``chosen if mask else other``."""
    m, a, b = as_expr(mask), as_expr(chosen), as_expr(other)
    if isinstance(m, Num):
        return a if m.value else b
    return a if a == b else Select(m, a, b)
