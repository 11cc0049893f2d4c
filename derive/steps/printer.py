"""The text of a step: index notation and matrix notation in which derivatives are fractions, ``∂P[n,i]/∂Z[n,j]``.

In: a step and the names of a program. Out: the same step with its sides as Unicode and as LaTeX.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from derive.contract import NoFormError
from derive.expr import Access, Add, Compare, Expr, Letter
from derive.forms import Form
from derive.lift import without_units
from derive.notation import Notation
from derive.notation.index_text import IndexPrinter
from derive.notation.latex import LatexStyle
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.style import Style
from derive.notation.unicode import UnicodeStyle
from derive.program import Equation, Tensor
from derive.steps.step import Ratio, RowColumn, Side, Slice, Step


class _Unicode(UnicodeStyle):
    """Unicode with ratios and slices."""

    letters: dict[Letter, str]

    def tensor(self, tensor: Tensor) -> str:
        if isinstance(tensor, Ratio) and tensor.of and tensor.by:
            return f"∂{self.tensor(tensor.of)}/∂{self.tensor(tensor.by)}"
        if isinstance(tensor, Slice) and tensor.of:
            return self.element(tensor.of, [self.letters[f] if f else ":" for f in tensor.fixed])
        return super().tensor(tensor)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        if isinstance(tensor, Ratio) and tensor.of and tensor.by:
            k = tensor.of.rank
            return f"∂{self.element(tensor.of, places[:k])}/∂{self.element(tensor.by, places[k:])}"
        return super().element(tensor, places)


class _Latex(LatexStyle):
    """LaTeX with ratios and slices."""

    letters: dict[Letter, str]

    def tensor(self, tensor: Tensor) -> str:
        if isinstance(tensor, Ratio) and tensor.of and tensor.by:
            return rf"\frac{{\partial {self.tensor(tensor.of)}}}{{\partial {self.tensor(tensor.by)}}}"
        if isinstance(tensor, Slice) and tensor.of:
            return self.element(tensor.of, [self.word(self.letters[f]) if f else ":" for f in tensor.fixed])
        return super().tensor(tensor)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        if isinstance(tensor, Ratio) and tensor.of and tensor.by:
            k = tensor.of.rank
            above, below = self.element(tensor.of, places[:k]), self.element(tensor.by, places[k:])
            return rf"\frac{{\partial {above}}}{{\partial {below}}}"
        return super().element(tensor, places)


class Printer:
    """Prints the steps of one program."""

    def __init__(self, notation: Notation) -> None:
        self.unicode, self.tex = _Unicode(notation.names), _Latex(notation.names)

    def printed(self, step: Step) -> Step:
        """The step with its texts."""
        return replace(step, text=self.sides(self.unicode, step), tex=self.sides(self.tex, step))

    def sides(self, style: _Unicode | _Latex, step: Step) -> tuple[str, str]:
        """Both sides; a condition stands behind them.

        Each side names its bound letters by itself, so that a sum reads alike in one step and the next; where
        that would give a free letter two names both are named together.
        """
        axes = Tensor("", tuple(a.extent for a in step.letters))
        # A condition is named as an equality: whether it holds or not changes no name.
        conditions = [Compare("==", *e.children) for e in (step.where,) if isinstance(e, Compare)]
        both = [[e] if isinstance(e, Expr) else [] for e in (step.before, step.after)]
        single = [_Inside(style, Equation(axes, step.letters, Add(*e, *conditions))) for e in both]
        if any(single[0].letters[a] != single[1].letters[a] for a in step.letters):
            single = [_Inside(style, Equation(axes, step.letters, Add(*both[0], *both[1], *conditions)))] * 2
        texts = []
        for inside, side in zip(single, (step.before, step.after), strict=True):
            style.letters = inside.letters
            texts.append(self.side(style, inside, side))
        if step.where is not None:
            texts[1] += style.prose(" where ") + single[1].condition(step.where)
        return texts[0], texts[1]

    def side(self, style: Style, inside: IndexPrinter, side: Side) -> str:
        """One side."""
        if isinstance(side, RowColumn):
            first, second = (MatrixPrinter(style).text(p) for p in side.product.parts)
            row, col = (style.word(inside.letters[a]) for a in (side.product.row, side.product.col) if a is not None)
            dot = "·" if isinstance(style, UnicodeStyle) else r" \cdot "
            return (
                f"{style.prose('Row')}_{row}{style.parens(first)}{dot}{style.prose('Col')}_{col}{style.parens(second)}"
            )
        if isinstance(side, Form):
            return MatrixPrinter(style).text(side)
        with contextlib.suppress(NoFormError):
            side = without_units(side)
        return inside.piece(side).text


class _Inside(IndexPrinter):
    """Index notation in which a derivative stands behind what it is multiplied with."""

    def reading_order(self, e: Expr) -> tuple[Any, ...]:
        order = super().reading_order(e)
        return (order[0] + 0.5, *order[1:]) if isinstance(e, Access) and isinstance(e.tensor, Ratio) else order
