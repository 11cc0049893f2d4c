"""Reductions: sums, extrema and products over bound letters, and functions of the matrix that a body is.

In: letters and a body that may mention them. Out: a node that binds them. Binders are compared as they stand; equality
up to renaming is the business of normal forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from derive.expr.base import ZERO, Expr, ExprLike, as_expr, inner_text, part
from derive.expr.letters import Letter


class Reduce(Expr):
    """``op[binders] body``; op is sum, max, min, prod, argmax, argmin, det or logdet.

    ``argmax`` is the flat position (row-major over the binders) of the *first* largest element: an
    integer, with derivative 0. It is how a maximum hands its gradient to one element. ``det`` and ``logdet`` are of
    the matrix whose rows the first binder counts and whose columns the second.
    """

    __slots__ = ()
    rank = 13
    reduces = True

    def __repr__(self) -> str:
        return f"{self.op}[{', '.join(map(repr, self.binders))}] {inner_text(self.body)}"

    def __init__(self, op: str, binders: tuple[Letter, ...], body: Expr) -> None:
        super().__init__(op, binders, body)

    op: str = part(0, "The reduction's name.")
    binders: tuple[Letter, ...] = part(1, "The letters that it binds.")
    body: Expr = part(2, "What is reduced.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.op, len(self.binders), *(b.key for b in self.binders), self.body.key)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return reduce_(self.op, self.binders, children[0])

    def over(self, binders: Iterable[Letter], body: Expr, places: Callable[[Expr], Expr] | None = None) -> Expr:
        """The same of another body, its binders other ones; ``places`` maps where a matrix is read."""
        return reduce_(self.op, binders, body)

    def _find_letters(self) -> frozenset[Letter]:
        return self.body.letters - frozenset(self.binders)


class MatrixCall(Reduce):
    """``op[k, l](body)[i, j]``: an element of a matrix made of the whole matrix that ``body`` is over its two binders.

    op is ``inv``, the inverse, or ``cholesky``, the lower triangular L with L Lᵀ = A; what they are and how they
    change is in `derive.matrix_functions`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        inside = f"{self.op}[{', '.join(map(repr, self.binders))}]({self.body!r})"
        return f"{inside}[{', '.join(map(repr, self.places))}]"

    def __init__(self, op: str, binders: tuple[Letter, ...], body: Expr, places: tuple[Expr, ...]) -> None:
        assert len(binders) == len(places) == 2, (binders, places)
        Expr.__init__(self, op, binders, body, *places)

    places: tuple[Expr, ...] = part(slice(3, None), "Where the result is read.")

    def _make_key(self) -> tuple[Any, ...]:
        return (*super()._make_key(), *(p.key for p in self.places))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body, *self.places)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return MatrixCall(self.op, self.binders, children[0], children[1:])

    def over(self, binders: Iterable[Letter], body: Expr, places: Callable[[Expr], Expr] | None = None) -> Expr:
        return MatrixCall(self.op, tuple(binders), body, tuple(map(places, self.places)) if places else self.places)

    def _find_letters(self) -> frozenset[Letter]:
        return super()._find_letters().union(*(p.letters for p in self.places))


def reduce_(op: str, binders: Iterable[Letter], body: ExprLike) -> Expr:
    """``op[binders] body``; without binders (and for the sum of 0) nothing is left to reduce."""
    letters, inside = tuple(binders), as_expr(body)
    if not letters:
        return ZERO if op.startswith("arg") else inside
    return ZERO if op == "sum" and inside == ZERO else Reduce(op, letters, inside)


def sum_over(binders: Iterable[Letter], body: ExprLike) -> Expr:
    """``sum[binders] body``."""
    return reduce_("sum", binders, body)
