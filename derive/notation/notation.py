"""All notations of one program, behind one object.

In: a program, at any stage. Out: the text of any of its equations, as matrices, in indices, as LaTeX or as NumPy.
A matrix notation that does not exist is None; the index notation always exists.
"""

from __future__ import annotations

from derive import forms
from derive.cases import with_cases
from derive.lift import lift
from derive.norms import Norms
from derive.notation.common import with_common_numbers
from derive.notation.deltas import with_deltas
from derive.notation.index_text import IndexPrinter
from derive.notation.latex import LatexStyle
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.names import Names
from derive.notation.python_text import PythonPrinter
from derive.notation.shape_line import with_shapes
from derive.notation.unicode import UnicodeStyle
from derive.notation.upright import upright
from derive.notation.wrapping import wrapped
from derive.primes import Primes
from derive.program import Equation, Program, Tensor, reads

FORMS = ("matrix", "index", "latex", "latex-index", "python")


class Notation:
    """The notations of a program.

    ``deltas`` writes cotangents of pre-activations as δ of their layer; ``exact`` writes repetitions through
    vectors of ones; ``subscripts`` lowers digits in Unicode; ``cotangents`` is ``bar`` or ``partial`` in LaTeX;
    ``diagonals`` writes Jacobians as one does (see `derive.lift.lift`); ``shapes`` writes extents under the factors.
    """

    def __init__(
        self,
        program: Program,
        *,
        deltas: bool = False,
        exact: bool = False,
        subscripts: bool = False,
        cotangents: str = "bar",
        diagonals: bool = False,
        shapes: bool = False,
    ) -> None:
        self.program, numbers = with_deltas(program) if deltas else (program, {})
        self.names = Names(program, deltas=numbers)
        self.primes = Primes(program.equations)
        self.norms = Norms(program.defined)
        self.unicode, self.tex = UnicodeStyle(self.names), LatexStyle(self.names, cotangents)
        self.unicode.subscripts = subscripts
        self.exact = exact
        self.diagonals = diagonals
        self.shapes = shapes
        self._forms: dict[Equation, forms.Form | None] = {}

    def shown(self, equation: Equation) -> Equation:
        """The equation as it is printed: 1/‖x‖ for what is 0 where x is (see `derive.norms`)."""
        body = self.norms.printed(equation.body, own=equation.span is None)
        return equation if body is equation.body else equation.with_body(body)

    def chosen(self, equation: Equation) -> Equation:
        """The equation as it is printed in indices: with choices for terms under a condition and its opposite."""
        shown = self.shown(equation)
        return shown.with_body(with_cases(shown.body)) if equation.out.kind == "cotangent" else shown

    def form(self, equation: Equation) -> forms.Form | None:
        """The matrix form of an equation, if there is one."""
        if equation not in self._forms:
            # What the author wrote is not to be printed through a derivative that it happens to equal.
            derived = equation.out.kind == "cotangent"
            rounds = any(
                t.ahead is not None for t in (equation.out, *reads(equation.body))
            )  # H[t+1] has its place only
            primes = self.primes if derived else None
            found = None if rounds else lift(self.shown(equation), primes, diagonals=self.diagonals, choices=derived)
            if found is not None:
                found = upright(with_common_numbers(found, diagonals=self.diagonals))
            self._forms[equation] = found
        return self._forms[equation]

    def matrix(self, equation: Equation) -> str | None:
        """``dW1 = Xᵀ dZ1``, or None."""
        form = self.form(equation)
        if form is None:
            return None
        if self.shapes:
            return with_shapes(equation, form, self.unicode)
        return f"{self.unicode.tensor(equation.out)} = {MatrixPrinter(self.unicode, exact=self.exact).text(form)}"

    def index(self, equation: Equation) -> str:
        """``dW1[d,h] = Σ_n X[n,d] dZ1[n,h]``."""
        return IndexPrinter(self.unicode, self.chosen(equation)).equation_text()

    def latex(self, equation: Equation) -> str:
        """The matrix form in LaTeX, or the index form where there is none."""
        form = self.form(equation)
        if form is None:
            return self.latex_index(equation)
        if self.shapes:
            return with_shapes(equation, form, self.tex)
        return f"{self.tex.tensor(equation.out)} = {MatrixPrinter(self.tex, exact=self.exact).text(form)}"

    def latex_index(self, equation: Equation) -> str:
        """The index form in LaTeX."""
        return IndexPrinter(self.tex, self.chosen(equation)).equation_text()

    def python(self, equation: Equation) -> str | None:
        """``dW1 = X.T @ dZ1``, or None."""
        form = self.form(equation)
        return None if form is None else PythonPrinter(self.names).assignment(equation, form)

    def formula(self, equation: Equation, form: str = "matrix") -> str:
        """The notation of that name; where it does not exist the index form (as a comment in Python)."""
        match form:
            case "matrix":
                return self.matrix(equation) or self.index(equation)
            case "index":
                return self.index(equation)
            case "latex":
                return self.latex(equation)
            case "latex-index":
                return self.latex_index(equation)
            case "python":
                return self.python(equation) or f"# {self.index(equation)}"
        raise ValueError(f"unknown form {form!r}; known are {', '.join(FORMS)}")

    def lines(self, equation: Equation, form: str = "matrix", width: int = 100) -> list[str]:
        """The formula broken into lines of about ``width``, the later ones indented below the right side."""
        first, *rest = wrapped(self.formula(equation, form), width)
        return [first, *(" " * (first.find(" = ") + 3) + line for line in rest)]

    def formulas(self, form: str = "matrix") -> list[tuple[Tensor, str]]:
        """Every equation of the program, in order."""
        return [(e.out, self.formula(e, form)) for e in self.program.equations]


def source_line(equation: Equation) -> str | None:
    """The model line that an equation comes from, as its author wrote it; None where it comes from none."""
    span = equation.span
    if span is None:
        return None
    if span.used is not None:
        return span.used.line
    lines = (span.source.line(k).partition("#")[0].strip() for k in range(span.line, span.end_line + 1))
    return " ".join(line for line in lines if line) or None
