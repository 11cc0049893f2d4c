"""Calls of scalar functions.

In: a declared function and arguments. Out: a node; what the function means is looked up when it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derive.expr.base import Expr, ExprLike, as_expr, part

if TYPE_CHECKING:
    from derive.functions import ScalarFunction


class Call(Expr):
    """A scalar function of the catalogue, or of the user, at its arguments."""

    __slots__ = ()
    rank = 6

    def __repr__(self) -> str:
        return f"{self.function.name}({', '.join(map(repr, self.arguments))})"

    def __init__(self, function: ScalarFunction, *arguments: Expr) -> None:
        super().__init__(function, *arguments)

    function: ScalarFunction = part(0, "The declaration.")
    arguments: tuple[Expr, ...] = part(slice(1, None), "Its arguments.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.function.name, *(a.key for a in self.arguments))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return call(self.function, *children)


def call(function: ScalarFunction, *arguments: ExprLike) -> Expr:
    """The function at its arguments."""
    return Call(function, *(as_expr(a) for a in arguments))
