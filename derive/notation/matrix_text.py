"""Matrix notation of forms, in any style.

In: a `Form`. Out: text with as few parentheses as are right. With ``exact`` every repetition of a vector or number
is written through vectors of ones (``1ₙ b1ᵀ``); otherwise rows and numbers expand silently, as in NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from derive import forms
from derive.expr import Letter
from derive.notation.style import ATOM, CHAIN, FLIPPED, SUM, TIGHT, TIMES, Piece, Style
from derive.program import Tensor
from derive.shapes import show_extent


class MatrixPrinter:
    """Prints forms in one style."""

    def __init__(self, style: Style, *, exact: bool = False) -> None:
        self.style, self.exact = style, exact
        self.slices: dict[Tensor, tuple[forms.Slice, str]] = {}
        self.identity = style.word(style.names.free("I", "Id"))

    def text(self, form: forms.Form) -> str:
        """The text of a form."""
        return self.piece(form).text

    def piece(self, form: forms.Form) -> Piece:
        """The text of a form, with how tightly it binds."""
        for kinds, method in _METHODS:
            if isinstance(form, kinds):
                return method(self, form)
        raise TypeError(f"no notation for {type(form).__name__}")

    def at(self, form: forms.Form, level: int) -> str:
        """The text, in parentheses where it binds less tightly than ``level``."""
        return self.style.wrap(self.piece(form), level)

    def leaf(self, form: forms.Form) -> Piece:
        style = self.style
        match form:
            case forms.Number():
                return style.number(form.value)
            case forms.Constant():
                assert form.constant is not None
                return Piece(style.word(form.constant.name))
            case forms.Extent():
                assert form.dim is not None
                return Piece(style.word(form.dim.name))
            case forms.Leaf() if form.tensor in self.slices:
                cut, text = self.slices[form.tensor]
                return style.transposed(Piece(text)) if cut.is_row else Piece(text)
            case forms.Leaf():
                return Piece(style.tensor(form.tensor))
            case forms.Ones():
                return Piece(self.ones(form.row))
            case forms.Commutation():
                return Piece(style.word(style.names.free("K", "Comm")))
        return Piece(self.identity)

    def ones(self, letter: Letter | None) -> str:
        if not self.exact or letter is None:
            return self.style.ones
        return self.style.sized_ones(self.style.word(str(letter.extent)))

    def transposed(self, form: forms.Form) -> Piece:
        part = form.parts[0]
        if isinstance(part, forms.OfMatrix) and part.op == "inv":
            return self.style.inverse(self.piece(part.parts[0]), transposed=True)
        return self.row_of(part) or self.style.transposed(self.piece(part))

    def row_of(self, part: forms.Form) -> Piece | None:
        """The row of a matrix that a vector is, as it stands there; None for any other."""
        cut, text = self.slices.get(part.tensor, (None, "")) if isinstance(part, forms.Leaf) else (None, "")
        return Piece(text) if cut is not None and cut.is_row else None

    def of_matrix(self, form: forms.OfMatrix) -> Piece:
        part = form.parts[0]
        if form.op != "inv":
            return Piece(self.style.operator(form.op, []) + self.style.parens(self.text(part)), TIGHT)
        if isinstance(part, forms.Transpose):
            return self.style.inverse(self.piece(part.parts[0]), transposed=True)
        return self.style.inverse(self.piece(part))

    def broadcast(self, form: forms.Form) -> Piece:
        part = form.parts[0]
        along = part.row is not None and form.col is not None
        silent = not self.exact and not (along and not _is_column(part)) and not forms.lies_in_a_square(form)
        if silent or form.is_scalar:
            turned = part.col is not None and not any(isinstance(f, forms.Product) for f in forms.walk(part))
            return self.piece(forms.transpose(part) if turned and not self.exact else part)
        whole = [part]
        if part.row is None and form.row is not None:
            whole.insert(0, forms.Ones(form.row, None))
        if part.col is None and form.col is not None:
            whole.append(forms.Transpose(None, form.col, (forms.Ones(form.col, None),)))
        return self.piece(forms.product(*whole))

    def product(self, form: forms.Form) -> Piece:
        """The factors beside each other; a square matrix times itself is a power: X², not X X."""
        factors = [self.run(first, count) for first, count in _runs(form.parts)]
        if len(factors) == 1:
            return factors[0]
        return Piece(self.style.dot.join(self.style.wrap(f, TIGHT) for f in factors), CHAIN)

    def run(self, form: forms.Form, count: int) -> Piece:
        """A factor so many times; of an inverse a negative power."""
        if count == 1:
            return self.piece(form)
        inverse = (
            isinstance(form, forms.OfMatrix) and form.op == "inv" and not isinstance(form.parts[0], forms.Transpose)
        )
        base, exponent = (form.parts[0], -count) if inverse else (form, count)
        return self.style.power(self.piece(base), Piece(str(exponent)), elementwise=False)

    def chain(self, parts: list[forms.Form]) -> Piece:
        return Piece(self.style.dot.join(self.at(p, TIGHT) for p in parts), CHAIN)

    def scale(self, form: forms.Form) -> Piece:
        *numbers, last = form.parts
        return Piece(self.style.dot.join([*(self.at(p, TIGHT) for p in numbers), self.at(last, CHAIN)]), CHAIN)

    def hadamard(self, form: forms.Form) -> Piece:
        if form.is_scalar:
            return self.chain(list(form.parts))
        return Piece(self.style.odot.join(self.at(p, TIGHT) for p in form.parts), TIMES)

    def quotient(self, form: forms.Form) -> Piece:
        top, bottom = form.parts
        if bottom.is_scalar:
            return self.style.fraction(self.piece(top), self.piece(bottom))
        return Piece(self.style.oslash.join((self.at(top, TIGHT), self.at(bottom, TIGHT))), TIMES)

    def sum(self, form: forms.Form) -> Piece:
        pieces = []
        for part in form.parts:
            negative = isinstance(part, forms.Negative)
            pieces.append((negative, self.piece(part.parts[0] if negative else part)))
        return self.style.total(pieces)

    def negative(self, form: forms.Form) -> Piece:
        return self.style.negative(self.piece(form.parts[0]))

    def power(self, form: forms.Form) -> Piece:
        base, exponent = form.parts
        if isinstance(exponent, forms.Number):
            twice = 2 * exponent.value
            if isinstance(base, forms.SquaredNorm) and twice.denominator == 1:  # (‖x‖²)² is ‖x‖⁴
                norm = self.style.norm(self.text(base.parts[0]), matrix=forms.is_matrix(base.parts[0]))
                return norm if twice == 1 else self.style.power(Piece(norm.text), Piece(str(twice)), elementwise=False)
            if exponent.value == Fraction(1, 2):
                return self.style.root(self.piece(base))
        return self.style.power(self.piece(base), self.piece(exponent), elementwise=not form.is_scalar)

    def apply(self, form: forms.Apply | forms.Prime) -> Piece:
        assert form.function is not None
        prime = isinstance(form, forms.Prime)
        parts = form.parts[:1] if prime else form.parts
        inside = ", ".join(self.text(p) for p in parts)
        if prime:
            return Piece(self.style.function(form.function) + self.style.prime + self.style.parens(inside))
        return self.style.call(form.function, inside)

    def condition(self, form: forms.Form) -> str:
        if isinstance(form, forms.Relation):
            left, right, op = *form.parts, form.op
            if isinstance(left, (forms.Number, forms.Negative)):
                left, right, op = right, left, FLIPPED[op]
            return f"{self.at(left, SUM)} {self.style.relations[op]} {self.at(right, SUM)}"
        return self.at(form, SUM)

    def mask(self, form: forms.Form) -> Piece:
        return Piece(self.style.brackets(self.condition(form)))

    def negation(self, form: forms.Form) -> Piece:
        return self.style.total([(False, Piece("1")), (True, self.piece(form.parts[0]))])

    def where(self, form: forms.Form) -> Piece:
        mask, chosen, other = form.parts
        if isinstance(mask, forms.Relation) and mask.op in ("<", "<=") and {chosen, other} == set(mask.parts):
            first, second = (chosen, other) if mask.op == "<=" else (other, chosen)
            name = self.style.operator("max" if chosen == mask.parts[1] else "min", [])
            return Piece(name + self.style.parens(f"{self.text(first)}, {self.text(second)}"), ATOM)
        return self.style.cases(self.condition(mask), self.text(chosen), self.text(other))

    def named(self, form: forms.Form) -> Piece:
        names = {forms.Diag: "diag", forms.Diagonal: "diag", forms.Trace: "tr", forms.Total: "sum", forms.Vec: "vec"}
        inside = self.row_of(form.parts[0]) or self.piece(form.parts[0])
        return Piece(self.style.operator(names[type(form)], []) + self.style.parens(inside.text), TIGHT)

    def unvec(self, form: forms.Unvec) -> Piece:
        inverse = self.style.inverse(Piece(self.style.operator("vec", [])))
        shape = ", ".join(show_extent(x.extent) for x in (form.row, form.col) if x is not None)
        return Piece(inverse.text + self.style.parens(self.text(form.parts[0]) + self.style.prose(f", [{shape}]")))

    def kron(self, form: forms.Kron) -> Piece:
        return Piece(self.style.otimes.join(self.at(p, TIGHT) for p in form.parts), TIMES)

    def sum_over(self, form: forms.SumOver) -> Piece:
        """Letters are called i, j, k … as in elements."""
        names, shown = self.style.names, dict[Letter, str]()
        taken = {names[t] for t in names.program.tensors} | names.program.numbers
        free = (c for c in "ijklpqrstuvw" if c not in taken)
        for letter in form.letters:
            shown[letter] = self.style.word(next(free))
        for cut in form.slices:
            places = [":" if p is None else shown[p] for p in cut.places]
            self.slices[cut.tensor] = cut, self.style.element(cut.source, places)
        total = self.style.operator("sum", list(shown.values()))
        return Piece(self.style.dot.join([total, self.at(form.parts[0], TIMES)]), CHAIN)

    def triangle(self, form: forms.Triangle) -> Piece:
        offset = f", {self.style.minus if form.offset < 0 else ''}{abs(form.offset)}" if form.offset else ""
        name = self.style.operator("triu" if form.upper else "tril", [])
        return Piece(name + self.style.parens(self.text(form.parts[0]) + offset))

    def cumulative(self, form: forms.Cumulative) -> Piece:
        axis = f", axis={form.over}" if forms.is_matrix(form.parts[0]) else ""
        how = self.style.prose((", reverse" if form.reverse else "") + axis)
        name = self.style.operator("cumsum", [])
        return Piece(name + self.style.parens(self.text(form.parts[0]) + how))

    def norm(self, form: forms.Form) -> Piece:
        part = form.parts[0]
        return self.style.squared_norm(self.text(part), matrix=forms.is_matrix(part))

    def along(self, form: forms.Extremum | forms.Share) -> Piece:
        axis = "" if form.over is None else f", axis={form.over}"
        name = self.style.operator(form.op if isinstance(form, forms.Extremum) else form.name, [])
        return Piece(name + self.style.parens(self.text(form.parts[0]) + self.style.prose(axis)), ATOM)


def _is_column(part: forms.Form) -> bool:
    """Whether a column is stored as one (``[h, 1]``), so that it expands along columns by itself."""
    return isinstance(part, forms.Leaf) and part.tensor.rank == 2


def _runs(parts: Iterable[forms.Form]) -> Iterator[tuple[forms.Form, int]]:
    """Factors that are the same square matrix, once, and how often each stands."""
    for _, group in itertools.groupby(parts, key=lambda p: forms.without_letters(p) if _is_square(p) else object()):
        run = list(group)
        yield run[0], len(run)


def _is_square(form: forms.Form) -> bool:
    return form.row is not None and form.col is not None and form.row.extent == form.col.extent


_METHODS: list[tuple[tuple[type[forms.Form], ...], Callable[..., Piece]]] = [
    (
        (forms.Number, forms.Constant, forms.Extent, forms.Leaf, forms.Ones, forms.Identity, forms.Commutation),
        MatrixPrinter.leaf,
    ),
    ((forms.Transpose,), MatrixPrinter.transposed),
    ((forms.Broadcast,), MatrixPrinter.broadcast),
    ((forms.Product,), MatrixPrinter.product),
    ((forms.Scale,), MatrixPrinter.scale),
    ((forms.Hadamard,), MatrixPrinter.hadamard),
    ((forms.Quotient,), MatrixPrinter.quotient),
    ((forms.Sum,), MatrixPrinter.sum),
    ((forms.Negative,), MatrixPrinter.negative),
    ((forms.Power,), MatrixPrinter.power),
    ((forms.Apply, forms.Prime), MatrixPrinter.apply),
    ((forms.Relation,), MatrixPrinter.mask),
    ((forms.Negation,), MatrixPrinter.negation),
    ((forms.Where,), MatrixPrinter.where),
    ((forms.Diag, forms.Diagonal, forms.Trace, forms.Total, forms.Vec), MatrixPrinter.named),
    ((forms.Unvec,), MatrixPrinter.unvec),
    ((forms.Kron,), MatrixPrinter.kron),
    ((forms.SumOver,), MatrixPrinter.sum_over),
    ((forms.Triangle,), MatrixPrinter.triangle),
    ((forms.Cumulative,), MatrixPrinter.cumulative),
    ((forms.SquaredNorm,), MatrixPrinter.norm),
    ((forms.OfMatrix,), MatrixPrinter.of_matrix),
    ((forms.Extremum, forms.Share), MatrixPrinter.along),
]
