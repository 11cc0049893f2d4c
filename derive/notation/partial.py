"""A Jacobian as one writes it by hand: its general element and its structure.

In: the equation of ∂y/∂x, whose first letters are those of y and whose others are those of x. Out: text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from derive import forms
from derive.display import readable
from derive.errors import GradcError
from derive.expr import ONE, ZERO, compare
from derive.mirrored import mirrored
from derive.notation.entries import EntryLatex, EntryPrinter, EntryStyle, EntryUnicode
from derive.notation.kronecker import kronecker, with_letters_of
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.names import Names
from derive.notation.notation import Notation
from derive.notation.python_text import PythonPrinter, definition, wrap
from derive.notation.style import ATOM
from derive.program import Equation, Tensor, reads
from derive.rewrite import substitute
from derive.textbook import spelled_out, written_out


@dataclass(frozen=True, eq=False)
class Partial:
    """∂y/∂x: its equation over the letters of y, then those of x."""

    equation: Equation
    y: Tensor
    x: Tensor
    notation: Notation

    @property
    def names(self) -> Names:
        """The names that are printed."""
        return self.notation.names

    def structure(
        self, *, latex: bool = False, layout: str = "numerator", at: Sequence[int | str | None] | None = None
    ) -> str | None:
        """``∂a/∂x = diag(a ⊙ (1 − a)) W``, or None; the gradient of a number is a row in numerator layout.

        Of a matrix, or by one, it is that of the columns below each other, ``∂vec(Y)/∂vec(W) = I ⊗ X``.

        ``at`` fixes places as in `derive.notation.expanded.expanded`: by the i-th row of weights z has ``e_i xᵀ``, the
        unit vector e_i telling which row it is that x stands in.
        """
        fixed = tuple(None if p is None else str(p) for p in at) if at is not None else (None,) * self.equation.out.rank
        equation = self.equation if at is None else self.at(fixed)
        if equation is not None and self.is_hessian and len(equation.letters) == 2:
            equation = equation.with_body(mirrored(equation.body, *equation.letters))
        form = None if equation is None else self.notation.form(equation)
        style: EntryStyle = EntryLatex(self.names) if latex else EntryUnicode(self.names)
        if form is None:
            found = None if at is not None else self.vectorized()
            if found is None:
                return None
            text = MatrixPrinter(style).text(found)
            return f"{style.partial(_vec(self.y, style), _vec(self.x, style))} = {text}"
        row = layout == "numerator" and not any(a != ONE for a in self.y.axes)
        matrix = form.row is not None and form.col is not None
        if (row and (matrix or form.row is not None)) or (not row and not matrix and form.row is None):
            form = forms.transpose(form)
        exact = equation is not None and equation.body != ZERO and is_repeated(form)
        return f"{self.title(style, fixed)} = {MatrixPrinter(style, exact=exact).text(form)}"

    @property
    def explained(self) -> list[Equation]:
        """What the names stand for that gradc gave, the gradient of a Hessian among them, in the program's order."""
        program = self.notation.program
        found: dict[Tensor, Equation] = {}
        stack = [self.equation]
        while stack:
            for t in reads(stack.pop().body):
                if t in program.defined and (t.hidden or t.kind == "cotangent") and t not in found:
                    found[t] = self.notation.shown(spelled_out(readable(program.defined[t], program), program))
                    stack.append(found[t])
        return [found[e.out] for e in program.equations if e.out in found]

    @property
    def is_hessian(self) -> bool:
        """Whether y is the gradient by x: its derivative by x is symmetric."""
        return self.y.primal is self.x

    def vectorized(self) -> forms.Form | None:
        """∂vec(y)/∂vec(x) in Kronecker products; None where it does not fall apart, also with all names written out."""
        found = kronecker(self.equation, self.y.rank, self.notation.form)
        whole = written_out(self.equation, self.notation.program) if found is None else None
        return found if whole is None else kronecker(whole, self.y.rank, self.notation.form)

    def python(self) -> str | None:
        """A line of NumPy for the array of all entries, the axes of y in front; None without a matrix form."""
        form = self.notation.form(self.equation)
        printer = PythonPrinter(self.names)
        if form is not None:
            return printer.assignment(self.equation, form)
        found = self.vectorized()
        if found is None:
            return None
        shape = ", ".join(definition(a, {}).text for a in self.equation.out.axes)
        name = self.names.python(self.equation.out)
        return f'{name} = {wrap(printer.piece(found), ATOM)}.reshape(({shape}), order="F")'

    def at(self, places: Sequence[str | None]) -> Equation | None:
        """The equation with some places fixed, a delta of a fixed one as a unit vector; None where it stands elsewhere.

        Raises GradcError where there are not as many places as axes.
        """
        letters = self.equation.letters
        if len(places) != len(letters):
            raise GradcError(f"at has {len(places)} places, the Jacobian has {len(letters)} axes")
        free = tuple(a for a, p in zip(letters, places, strict=True) if p is None)
        body = with_letters_of(self.equation.body, frozenset(free))
        for a, place in zip(letters, places, strict=True):
            if place is not None:
                unit = Tensor(f"e_{place}", (a.extent,))
                body = substitute(body, {compare("==", a, b): unit[b] for b in free if b.extent == a.extent})
        if not body.letters <= set(free):
            return None
        out = Tensor(self.equation.out.name, tuple(a.extent for a in free))
        return Equation(out, free, body)

    def element(self) -> str:
        """The general element: ``∂a_i/∂z_j = [i = j] a_i (1 − a_i)``."""
        return self._element(EntryUnicode(self.names))

    def latex_element(self) -> str:
        """The general element in LaTeX."""
        return self._element(EntryLatex(self.names))

    def title(self, style: EntryStyle, fixed: Sequence[str | None] = ()) -> str:
        """``∂y/∂x``, what is fixed standing below the names."""
        sides = []
        for t, places in ((self.y, fixed[: self.y.rank]), (self.x, fixed[self.y.rank :])):
            free = r"\cdot" if isinstance(style, EntryLatex) else "·"
            some = any(p is not None for p in places)
            sides.append(style.element(t, [p or free for p in places]) if some else style.tensor(t))
        return style.partial(*sides)

    def _element(self, style: EntryStyle) -> str:
        own = self.equation.letters[: self.y.rank]
        shown = self.equation.with_body(with_letters_of(self.equation.body, frozenset(own)))
        printer = EntryPrinter(style, shown)
        top = printer.piece(self.y.at(own)).text
        bottom = printer.piece(self.x.at(self.equation.letters[self.y.rank :])).text
        return f"{style.partial(top, bottom)} = {printer.piece(printer.body).text}"


def _vec(t: Tensor, style: EntryStyle) -> str:
    return style.operator("vec", []) + style.parens(style.tensor(t)) if t.rank == 2 else style.tensor(t)


def is_repeated(form: forms.Form) -> bool:
    """Whether it is one number repeated, for which vectors of ones are needed."""
    nodes = list(forms.walk(form))
    if any(isinstance(f, forms.Broadcast) and f.parts[0].is_scalar and len(f.axes) == 2 for f in nodes):
        return True
    return not any(isinstance(f, (forms.Leaf, forms.Identity)) and not f.is_scalar for f in nodes)
