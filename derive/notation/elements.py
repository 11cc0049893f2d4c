"""Elements of what has a name as a whole: softmax(x)_i in indices, where exp(x_i) stands over the sum of its like.

In: an index expression. Out: an equal one with such elements as nodes of their own, at places that may be letters or
numbers. What has no matrix form stays spelled out.
"""

from __future__ import annotations

import itertools
from typing import Any

from derive import forms
from derive.expr import Expr, Letter, fresh_like
from derive.expr.base import part
from derive.hoist import ordered_letters, standard
from derive.lift import lift
from derive.program import Equation, Tensor, reads
from derive.rewrite import map_children, substitute, walk
from derive.shares import Ratio, with_shares


class Element(Expr):
    """One element, at ``places``, of the array that ``whole`` is over its letters."""

    __slots__ = ()
    rank = 97

    whole: Expr = part(0, "The element at any place, over standard letters.")
    order: tuple[int, ...] = part(1, "Which of these letters each axis has.")
    places: tuple[Expr, ...] = part(slice(2, None), "Where it is read.")

    @property
    def children(self) -> tuple[Expr, ...]:
        """Its places: letters and names in the array itself are no part of the formula around it."""
        return self.places

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.whole.key, self.order, *(p.key for p in self.places))

    def __repr__(self) -> str:
        return f"({self.whole!r})[{', '.join(map(repr, self.places))}]"

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Element(self.whole, self.order, *children)

    @property
    def form(self) -> forms.Form:
        """The array as a matrix."""
        found = _form(self.whole, self.order)
        assert found is not None
        return found


def with_elements(e: Expr) -> Expr:
    """The expression with an element for each share in a total.

    >>> from derive.expr import Dim, call, fresh, sum_over
    >>> from derive.functions import PRIMITIVES
    >>> x = Tensor("x", (Dim("n"),)); i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> one, other = (call(PRIMITIVES["exp"], x[a]) for a in (i, j))
    >>> found = with_elements(one / sum_over([j], other)); found.places, found.form.name
    ((i,), 'softmax')
    """
    return _named(with_shares(e))


def is_number(e: Expr) -> bool:
    """Whether it is the same everywhere and read from no array."""
    return not e.letters and not reads(e) and not any(isinstance(n, Element) for n in walk(e))


def _named(e: Expr) -> Expr:
    e = map_children(e, _named)
    if not isinstance(e, Ratio):
        return e
    letters = ordered_letters(e)
    own = standard(e, letters)
    found = [(f, order) for order in itertools.permutations(range(len(letters))) if (f := _form(own, order))]
    if not found:
        return e.call / e.total
    _, order = min(found, key=lambda f: (forms.effort(f[0]), f[1]))
    return Element(own, order, *(letters[k] for k in order))


def _form(whole: Expr, order: tuple[int, ...]) -> forms.Form | None:
    """The array's matrix form, with its axes in that order."""
    standing = sorted(whole.letters, key=lambda a: -a.number)
    own: list[Letter] = [fresh_like(a) for a in standing]
    letters = tuple(own[k] for k in order)
    body = substitute(whole, dict(zip(standing, own, strict=True)))
    return lift(Equation(Tensor("whole", tuple(a.extent for a in letters)), letters, body))
