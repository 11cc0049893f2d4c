"""Elements as lecture notes write them: ``w_12``, ``a_i``, ``[i = j]``, counted from 1.

In: index expressions whose places are letters, numbers from 0 or extents. Out: their text. The language counts from 0;
here every place is one more, and a letter stands for a number from 1, so that ``x[n − 1]`` is ``x_n``. Places that are
stored count in the same way: class numbers, and where a maximum is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from derive.contract import is_delta
from derive.expr import ONE, Access, Add, Compare, Expr, Letter, Mul, Num, Reduce, add, mul, split_coefficient
from derive.notation.elements import is_number
from derive.notation.index_text import IndexPrinter
from derive.notation.latex import LatexStyle
from derive.notation.style import ATOM, Piece, Style
from derive.notation.unicode import UnicodeStyle
from derive.program import Equation, reads
from derive.rewrite import substitute
from derive.shapes import polynomial

_LETTERS = "ijklpqrstuvwabcdefgh"


def subscript(places: list[str]) -> str:
    """Places side by side where that is not ambiguous.

    >>> subscript(["1", "n"]), subscript(["1", "10"]), subscript(["i"])
    ('1n', '1,10', 'i')
    """
    return ("" if all(len(p) == 1 for p in places) else ",").join(places)


def _below(places: list[str]) -> str:
    below = subscript(places)
    return f"_{below if below.isalnum() and len(below) == len(places) else f'{{{below}}}'}"


class EntryUnicode(UnicodeStyle):
    """Unicode with places below the name."""

    def element(self, tensor: Any, places: list[str]) -> str:
        return self.tensor(tensor) + (_below(places) if places else "")

    def entry(self, matrix: Piece, places: list[str]) -> Piece:
        return Piece(f"{self.wrap(matrix, ATOM)}{_below(places)}")

    def brackets(self, text: str) -> str:
        return f"[{text}]"

    def partial(self, top: str, bottom: str) -> str:
        """``∂y/∂x``."""
        return f"∂{top}/∂{bottom}"


class EntryLatex(LatexStyle):
    """LaTeX with places below the name."""

    def element(self, tensor: Any, places: list[str]) -> str:
        name = self.tensor(tensor)
        if not places:
            return name
        return f"{f'[{name}]' if '_' in name else name}_{{{subscript(places)}}}"

    def entry(self, matrix: Piece, places: list[str]) -> Piece:
        return Piece(f"{self.wrap(matrix, ATOM)}_{{{subscript(places)}}}")

    def brackets(self, text: str) -> str:
        return rf"\left[{text}\right]"

    def partial(self, top: str, bottom: str) -> str:
        """The derivative as a fraction."""
        return rf"\frac{{\partial {top}}}{{\partial {bottom}}}"


EntryStyle = EntryUnicode | EntryLatex


class EntryPrinter(IndexPrinter):
    """Prints expressions with places counted from 1; letters are called i, j, k …, unlike every name in use."""

    def __init__(self, style: Style, equation: Equation, given: Mapping[Letter, str] | None = None) -> None:
        super().__init__(style, equation)
        chosen = dict(given or {})
        names = style.names
        taken = {names[t] for t in names.program.tensors} | names.program.numbers | {*chosen.values()}
        free = (c for c in itertools.chain(_LETTERS, (f"i{k}" for k in itertools.count(1))) if c not in taken)
        self.letters = {a: chosen[a] if a in chosen else next(free) for a in {**self.letters, **chosen}}

    def piece(self, e: Expr) -> Piece:
        if isinstance(e, Access):
            axes = zip(e.places, e.tensor.axes, strict=True)
            shown = [self.super_piece(from_one(p)).text for p, extent in axes if extent != ONE]
            return Piece(self.style.element(e.tensor, shown))
        return self.super_piece(with_common_number(e) if isinstance(e, Add) else e)

    def condition(self, e: Expr) -> str:
        if isinstance(e, Compare) and any(is_place(side) for side in e.children):
            e = Compare(e.op, *map(from_one, e.children))
        return super().condition(e)

    def reading_order(self, e: Expr) -> tuple[Any, ...]:
        """Numbers, then deltas, then as in index notation."""
        return (2 if not is_delta(e) and not is_number(e) else is_delta(e), super().reading_order(e))

    def entry(self, matrix: Piece, places: tuple[Expr, ...]) -> Piece:
        return self.style.entry(matrix, [self.super_piece(from_one(p)).text for p in places])

    def super_piece(self, e: Expr) -> Piece:
        """The text as in index notation."""
        return super().piece(e)


def with_common_number(e: Add) -> Expr:
    """A sum whose terms all have one number in front as that number times a sum.

    >>> from derive.expr import Dim
    >>> q, y = Dim("q"), Dim("y")
    >>> with_common_number(2 * q - 2 * y)
    2·(-1·y + q)
    """
    number = abs(split_coefficient(e.args[0])[0])
    if number == 1 or any(abs(split_coefficient(t)[0]) != number for t in e.args):
        return e
    return Mul(Num(number), add(*(mul(1 / number, t) for t in e.args)))


def is_place(e: Expr) -> bool:
    """Whether it counts along an axis: a letter, an element of an integer tensor, or where an extremum is."""
    if isinstance(e, Reduce):
        return e.op.startswith("arg")
    return isinstance(e, Letter) or (isinstance(e, Access) and e.tensor.dtype == "int")


def from_one(place: Expr) -> Expr:
    """A place counted from 1, its letters too.

    >>> from derive.expr import Dim, fresh
    >>> i, n = fresh(Dim("n")), Dim("n")
    >>> from_one(i), from_one(n - 1), from_one(2 * i)
    (i, n, 2·i + -1)
    """
    if reads(place) or place.reduces:
        return place
    letters = sorted((a for a in place.letters if isinstance(a, Letter)), key=lambda a: a.key)
    return polynomial(add(substitute(place, {a: add(a, -1) for a in letters}), ONE))
