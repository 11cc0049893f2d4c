"""What is said once beside formulas in which a norm is divided by: 1/‖x‖ is 0 where x = 0.

In: derived equations. Out: a note for each norm whose derivative at 0 they rest on; none where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from derive import forms
from derive.expr import Expr, Letter, num, power
from derive.notation.index_text import IndexPrinter
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.notation import Notation
from derive.notation.style import Style
from derive.program import Equation, Tensor


@dataclass(frozen=True)
class NormNote:
    """``what`` is 0 at the place ``where``: 1/‖x‖ and x = 0, each in Unicode and in LaTeX."""

    what: tuple[str, str]
    where: tuple[str, str]

    def __str__(self) -> str:
        return f"{self.what[0]} is 0 where {self.where[0]}"

    def latex(self) -> str:
        """The note as text of LaTeX."""
        return f"${self.what[1]}$ is 0 where ${self.where[1]}$"


def norm_notes(notation: Notation, *groups: Iterable[Equation]) -> list[NormNote]:
    """The notes on these equations, each once; what an author wrote is no derivative, and needs none."""
    bodies = (e.body for group in groups for e in group if e.span is None)
    return notes_on(notation, (root for body in bodies for root in notation.norms.said(body)))


def notes_on(notation: Notation, roots: Iterable[Expr]) -> list[NormNote]:
    """The notes on norms, given by their squares."""
    return list(dict.fromkeys(_note(notation, root) for root in roots))


def _note(notation: Notation, root: Expr) -> NormNote:
    letters = tuple(sorted((a for a in root.letters if isinstance(a, Letter)), key=lambda a: a.key))
    out = Tensor("norm", tuple(a.extent for a in letters))
    norm = Equation(out, letters, power(root, num(Fraction(1, 2))))
    styles: tuple[Style, ...] = (notation.unicode, notation.tex)
    form = notation.form(norm)
    if form is None:
        below = zero = [IndexPrinter(s, norm).right().text for s in styles]
    else:
        inside = form.parts[0].parts[0] if _is_norm(form) else form
        below, zero = ([MatrixPrinter(s).text(f) for s in styles] for f in (form, inside))
    return NormNote((f"1/{below[0]}", f"1/{below[1]}"), (f"{zero[0]} = 0", f"{zero[1]} = 0"))


def _is_norm(form: forms.Form) -> bool:
    return isinstance(form, forms.Power) and isinstance(form.parts[0], forms.SquaredNorm)
