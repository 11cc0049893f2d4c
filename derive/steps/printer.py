"""The text of steps: index notation and matrix notation in which derivatives are fractions, ``∂P[n,i]/∂Z[n,j]``.

In: the steps that tell of one tensor. Out: the same steps with their sides and reasons as Unicode and as LaTeX.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from derive.contract import is_delta
from derive.expr import ONE, Access, Add, Call, Compare, Expr, Letter, Not, negate
from derive.forms import Form, Leaf, walk
from derive.notation import Notation
from derive.notation.index_text import IndexPrinter
from derive.notation.latex import LatexStyle
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.norm_notes import NormNote, notes_on
from derive.notation.partial import is_repeated
from derive.notation.shape_line import FittingPrinter
from derive.notation.unicode import UnicodeStyle
from derive.program import Equation, Tensor
from derive.rewrite import factors
from derive.steps.lettering import lettering, without_ones
from derive.steps.step import Claim, Phrase, Ratio, Reason, RowColumn, Side, Slice, Step, Written


class _Ratios:
    """What both styles do with derivatives and slices.

    ``ratios`` are cotangents that are printed as derivatives. In a product the derivative of a root stands in
    front of other derivatives, and what is ``last`` behind them.
    """

    letters: dict[Letter, str]
    ratios: dict[Tensor, Ratio]
    roots: set[Tensor]
    last: set[Tensor]

    def fraction_of(self, tensor: Tensor) -> tuple[Tensor, Tensor, str] | None:
        """Of a derivative: what is differentiated, by what, and the sign in front of both."""
        t = self.ratios.get(tensor, tensor)
        if isinstance(t, Ratio) and t.of and t.by:
            return t.of, t.by, "d" if t.total else "∂"
        return None


class _Unicode(_Ratios, UnicodeStyle):
    """Unicode with ratios and slices."""

    def over(self, sign: str, above: str, below: str) -> str:
        """A derivative; dx alone is a cotangent, d(x) is not."""
        return f"d({above})/d({below})" if sign == "d" else f"∂{above}/∂{below}"

    def tensor(self, tensor: Tensor) -> str:
        if found := self.fraction_of(tensor):
            of, by, sign = found
            return self.over(sign, self.tensor(of), self.tensor(by))
        if isinstance(tensor, Slice) and tensor.of:
            return self.element(tensor.of, [self.letters[f] if f else ":" for f in tensor.fixed])
        return super().tensor(tensor)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        if found := self.fraction_of(tensor):
            of, by, sign = found
            return self.over(sign, self.element(of, places[: of.rank]), self.element(by, places[of.rank :]))
        return super().element(tensor, places)

    inner = "·"

    def line_of(self, kind: str, letter: str, matrix: str) -> str:
        """A row or a column of a matrix."""
        return f"{kind}_{letter}{self.parens(matrix)}"

    def written(self, rows: list[list[str]]) -> str:
        """A matrix written out, a semicolon between its rows."""
        return self.parens("; ".join(", ".join(row) for row in rows))


class _Latex(_Ratios, LatexStyle):
    """LaTeX with ratios and slices."""

    def over(self, sign: str, above: str, below: str) -> str:
        """A derivative as a fraction."""
        mark = r"\mathrm{d}" if sign == "d" else r"\partial "
        return rf"\frac{{{mark}{above}}}{{{mark}{below}}}"

    def tensor(self, tensor: Tensor) -> str:
        if found := self.fraction_of(tensor):
            of, by, sign = found
            return self.over(sign, self.tensor(of), self.tensor(by))
        if isinstance(tensor, Slice) and tensor.of:
            return self.element(tensor.of, [self.word(self.letters[f]) if f else ":" for f in tensor.fixed])
        return super().tensor(tensor)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        if found := self.fraction_of(tensor):
            of, by, sign = found
            return self.over(sign, self.element(of, places[: of.rank]), self.element(by, places[of.rank :]))
        return super().element(tensor, places)

    inner = r" \cdot "

    def line_of(self, kind: str, letter: str, matrix: str) -> str:
        """A row or a column of a matrix."""
        return rf"\operatorname{{{kind}}}_{{{self.word(letter)}}}{self.parens(matrix)}"

    def written(self, rows: list[list[str]]) -> str:
        """A matrix written out."""
        return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(row) for row in rows) + r"\end{pmatrix}"


class Printer:
    """Prints the steps of one program."""

    def __init__(self, notation: Notation) -> None:
        self.notation = notation
        self.ratios: dict[Tensor, Ratio] = {}
        self.unicode, self.tex = _Unicode(notation.names), _Latex(notation.names)
        self.roots, self.last = set[Tensor](), set[Tensor]()
        for style in (self.unicode, self.tex):
            style.ratios, style.roots, style.last = self.ratios, self.roots, self.last

    def printed(self, steps: Sequence[Step]) -> list[Step]:
        """The steps that tell of one tensor with their texts, without those that would say nothing."""
        if not steps:
            return []
        shown = list(map(self.shown, steps))
        self.unicode.letters = self.tex.letters = lettering(self.notation.names, shown)
        found: list[Step] = []
        said: set[str] = set()
        norms = dict[NormNote, None]()
        for given, step in zip(steps, shown, strict=True):
            step = replace(given, text=self.sides(self.unicode, step), tex=self.sides(self.tex, step))
            before, after = step.text
            if before == after or (found and found[-1].text[1] == after and before in said):
                continue
            said = {*(said if before in said else ()), before, after}
            phrases = tuple(self.phrase(step, r) for r in step.reason)
            roots = self.notation.norms.said(given.after) if isinstance(given.after, Expr) else ()
            for note in (n for n in notes_on(self.notation, roots) if n not in norms):
                norms[note] = None
                phrases = (*phrases, *([_words("; ")] if phrases else []), *_told(note))
            found.append(replace(step, phrases=phrases))
        return found

    def shown(self, step: Step) -> Step:
        """The step with sides as they are printed, 1/‖x‖ for what is 0 where x is."""

        def shown(side: Side) -> Side:
            return self.notation.norms.printed(side) if isinstance(side, Expr) else side

        return replace(step, before=shown(step.before), after=shown(step.after))

    def sides(self, style: _Unicode | _Latex, step: Step) -> tuple[str, str]:
        """Both sides; a condition stands behind what is not simply a derivative."""
        inside = _Inside(style, step.letters)
        exact = any(isinstance(s, Form) and self.is_jacobian(s) for s in (step.before, step.after))
        before, after = (self.side(style, inside, s, exact) for s in (step.before, step.after))
        if step.where is not None:
            condition = style.prose(" where ") + inside.condition(step.where)
            after += condition
            if not isinstance(step.before, Access):
                before += condition
        return before, after

    def side(self, style: _Unicode | _Latex, inside: IndexPrinter, side: Side, exact: bool) -> str:
        """One side; an ``exact`` one leaves nothing to be repeated silently."""
        if isinstance(side, RowColumn):
            parts = zip(("Row", "Col"), (side.product.row, side.product.col), side.product.parts, strict=True)
            shown = [style.line_of(n, inside.letters[a], MatrixPrinter(style).text(p)) for n, a, p in parts if a]
            return style.inner.join(shown)
        if isinstance(side, Form):
            printer = FittingPrinter(style) if exact and not is_repeated(side) else MatrixPrinter(style, exact=exact)
            return printer.text(side)
        if isinstance(side, Written):
            grids = [[[inside.piece(without_ones(e)).text for e in row] for row in m] for m in side.matrices]
            return style.dot.join(style.written(g) for g in grids)
        return inside.piece(without_ones(side)).text

    def is_jacobian(self, form: Form) -> bool:
        """Whether a derivative by something that has axes stands in it as a matrix."""
        tensors = [f.tensor for f in walk(form) if isinstance(f, Leaf)]
        return any(self.unicode.fraction_of(t.of if isinstance(t, Slice) and t.of else t) for t in tensors)

    def phrase(self, step: Step, reason: Reason) -> Phrase:
        """A piece of the reason: words as they are, everything else as a formula."""
        if isinstance(reason, str):
            return Phrase(reason, reason)
        return Phrase(self.reason(self.unicode, step, reason), self.reason(self.tex, step, reason), formula=True)

    def reason(self, style: _Unicode | _Latex, step: Step, reason: Tensor | Expr | Equation | Claim) -> str:
        """A tensor, an expression, a definition or an equality that a step rests on."""
        if isinstance(reason, Tensor):
            return style.tensor(reason)
        if isinstance(reason, Expr):
            return self.side(style, _Inside(style, step.letters), reason, exact=False)
        if isinstance(reason, Claim):
            inside = _Inside(style, step.letters)
            return " = ".join(self.side(style, inside, s, exact=False) for s in (reason.before, reason.after))
        form = self.notation.form(reason)
        if isinstance(step.after, Expr) or form is None:
            return IndexPrinter(style, self.notation.shown(reason)).equation_text()
        return f"{style.tensor(reason.out)} = {MatrixPrinter(style).text(form)}"


def _words(text: str) -> Phrase:
    return Phrase(text, text)


def _told(note: NormNote) -> list[Phrase]:
    what, where = (Phrase(*sides, formula=True) for sides in (note.what, note.where))
    return [what, _words(" is 0 where "), where]


class _Inside(IndexPrinter):
    """Index notation with given names.

    Kronecker deltas stand in front of what they are multiplied with, then elements, sums, functions, derivatives.
    """

    def __init__(self, style: _Unicode | _Latex, letters: Iterable[Letter]) -> None:
        own = tuple(letters)
        super().__init__(style, Equation(Tensor("", tuple(a.extent for a in own)), own, ONE))
        self.letters = style.letters
        self.style: _Unicode | _Latex = style

    def condition(self, e: Expr) -> str:
        """That not all of some equalities hold is said one by one."""
        if isinstance(e, Not) and all(isinstance(c, Compare) for c in factors(e.children[0])):
            return self.style.prose(" or ").join(self.condition(negate(c)) for c in factors(e.children[0]))
        if isinstance(e, Compare) and e.op in ("==", "!=") and all(isinstance(c, Letter) for c in e.children):
            first, second = sorted((self.piece(c).text for c in e.children), key=lambda text: (len(text), text))
            return f"{first} {self.style.relations[e.op]} {second}"
        return super().condition(e)

    def reading_order(self, e: Expr) -> tuple[Any, ...]:
        order = super().reading_order(e)
        later = -0.25 if is_delta(e) else 0.25 if isinstance(e, Add) else 0.5 if isinstance(e, Call) else 0.0
        if isinstance(e, Access):
            root = isinstance(e.tensor, Ratio) and e.tensor.of in self.style.roots
            later = 0.75 if root else 0.8 if isinstance(e.tensor, Ratio) else 0.9 * (e.tensor in self.style.last)
        return (order[0] + later, *order[1:])
