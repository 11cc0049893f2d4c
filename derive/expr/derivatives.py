"""A derivative that is asked for and not made yet: ∂u[p]/∂x[q] at two accesses.

In: what is differentiated and by what. Out: a node that stands for their derivative from reading until
`derive.inner.resolved`; no later stage meets one.
"""

from __future__ import annotations

from derive.expr.base import Access, Expr, part


class Derivative(Expr):
    """``∂ of / ∂ by``: the derivative of one access by another, both at letters."""

    __slots__ = ()
    rank = 18

    of: Access = part(0, "What is differentiated.")
    by: Access = part(1, "By what.")

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        of, by = children
        assert isinstance(of, Access)
        assert isinstance(by, Access)
        return Derivative(of, by)

    def __repr__(self) -> str:
        return f"∂{self.of!r}/∂{self.by!r}"
