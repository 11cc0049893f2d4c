"""Index letters, which places are written with and sums run over.

In: extents. Out: atoms told from each other by number, never by the name that they are printed by.
"""

from __future__ import annotations

import itertools
from typing import Any

from derive.expr.base import Expr, part

_numbers = itertools.count(1)


class Letter(Expr):
    """An index letter: a number that runs from 0 below its extent. The hint is for printing only."""

    __slots__ = ("hint",)
    rank = 4

    def __repr__(self) -> str:
        return self.hint

    def __init__(self, extent: Expr, number: int, hint: str = "i") -> None:
        super().__init__(extent, number)
        self.hint = hint

    extent: Expr = part(0, "How far it runs (exclusive): an integer polynomial in dims.")
    number: int = part(1, "What tells it from others of the same extent.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.number, self.extent.key)

    @property
    def children(self) -> tuple[Expr, ...]:
        return ()

    def _find_letters(self) -> frozenset[Letter]:
        return frozenset((self,))


def fresh(extent: Expr, hint: str = "i") -> Letter:
    """A letter that nothing else uses."""
    return Letter(extent, next(_numbers), hint)


def fresh_like(letter: Letter) -> Letter:
    """A letter that nothing else uses, over the same extent and with the same hint."""
    return fresh(letter.extent, letter.hint)
