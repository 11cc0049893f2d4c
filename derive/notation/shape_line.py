r"""Shapes under the factors: ``dW1 = Xᵀ dZ1`` with ``d×h = d×n · n×h`` beneath.

In: an equation and its form. Out: two lines of Unicode, or LaTeX with ``\underset``. Every matrix and vector shows the
extents of its axes as it stands there (transposed ones too); numbers show none.
"""

from __future__ import annotations

import re

from derive import forms
from derive.expr import Letter
from derive.notation.index_text import IndexPrinter
from derive.notation.latex import LatexStyle
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.style import ATOM, CHAIN, TIGHT, Piece, Style
from derive.program import Equation

_OPEN, _MIDDLE, _CLOSE = "\ue000", "\ue001", "\ue002"  # a text and what stands under it, until both are laid out
_MARKED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_MIDDLE}([^{_CLOSE}]*){_CLOSE}|(.)", re.DOTALL)
_SHOWN_INSIDE = (forms.Sum, forms.Negative, forms.Scale, forms.Hadamard, forms.Quotient)


def with_shapes(equation: Equation, form: forms.Form, style: Style) -> str:
    """The equation with the shape of each factor under it."""
    printer = ShapePrinter(style, equation)
    out = printer.marked(style.tensor(equation.out), form)
    text = out + printer.equals + printer.text(form)
    return text if printer.latex else "\n".join(two_lines(text))


class FittingPrinter(MatrixPrinter):
    """Writes vectors that are repeated through vectors of ones, so that shapes fit; numbers need none."""

    def __init__(self, style: Style) -> None:
        super().__init__(style, exact=True)

    def piece(self, form: forms.Form) -> Piece:
        if isinstance(form, forms.Broadcast) and form.parts[0].is_scalar:
            return self.piece(form.parts[0])
        return super().piece(form)


class ShapePrinter(FittingPrinter):
    """Prints forms with the shape of each factor."""

    def __init__(self, style: Style, equation: Equation) -> None:
        super().__init__(style)
        self.latex = isinstance(style, LatexStyle)
        self.plain = FittingPrinter(style)
        self.extents = IndexPrinter(style, equation)
        self.equals = " = " if self.latex else mark(" = ", " = ")
        self.between = style.dot if self.latex else mark("   ", " · ")

    def piece(self, form: forms.Form) -> Piece:
        if isinstance(form, forms.Product):
            return Piece(self.between.join(self.at(p, TIGHT) for p in form.parts), CHAIN)
        inside = isinstance(form, (*_SHOWN_INSIDE, forms.Broadcast)) or form.is_scalar
        if inside or any(isinstance(f, forms.Product) for f in forms.walk(form)):
            return super().piece(form)
        found = self.plain.piece(form)
        return Piece(self.marked(found.text, form), TIGHT if self.latex and found.level == ATOM else found.level)

    def marked(self, text: str, form: forms.Form) -> str:
        """A text with the shape of a form under it; a number has none."""
        if form.is_scalar:
            return text
        cross = r"\times " if self.latex else "×"
        shape = f"{self.extent(form.row)}{cross}{self.extent(form.col)}"
        return rf"\underset{{{shape}}}{{{text}}}" if self.latex else mark(text, shape)

    def extent(self, letter: Letter | None) -> str:
        """How many there are along an axis; 1 where there is no axis."""
        return "1" if letter is None else self.style.wrap(self.extents.piece(letter.extent), ATOM)


def mark(text: str, below: str) -> str:
    """A text that is to have another one under it."""
    return f"{_OPEN}{text}{_MIDDLE}{below}{_CLOSE}"


def two_lines(text: str) -> tuple[str, str]:
    r"""The line, and the line under it.

    >>> print("\n".join(two_lines(mark("a", "n×1") + " + " + mark("1ₙ", "n×1"))))
     a  + 1ₙ
    n×1   n×1
    """
    above, below = "", ""
    for upper, lower, plain in _MARKED.findall(text):
        if plain:
            above, below = above + plain, below + " "
            continue
        width = max(len(upper), len(lower))
        above, below = above + f"{upper:^{width}}", below + f"{lower:^{width}}"
    return above.rstrip(), below.rstrip()
