"""NumPy text of forms: ``dW1 = X.T @ dZ1``.

In: a `Form`. Out: an expression over arrays named like the tensors, vectors being one-dimensional as in NumPy, and
extents named like the dims. Scalar functions other than NumPy's are written out by their definition.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

from derive import forms
from derive.expr import ONE, Add, Call, Compare, Const, Dim, Expr, Mul, Not, Num, Pow, Select
from derive.functions import SIGN, Parameter, ScalarFunction
from derive.notation.names import Names, identifier
from derive.notation.style import ATOM, FLIPPED, SUM, TIGHT, TIMES, Piece
from derive.program import Equation, Tensor

_OF_MATRIX = {"inv": "np.linalg.inv({})", "det": "np.linalg.det({})", "logdet": "np.linalg.slogdet({})[1]"}
_OF_MATRIX |= {"cholesky": "np.linalg.cholesky({})"}
_NUMPY = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "erf": "scipy.special.erf"}


class PythonPrinter:
    """Prints forms as NumPy expressions."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.slices: dict[Tensor, str] = {}

    def assignment(self, equation: Equation, form: forms.Form) -> str:
        """``out = expression``, of the shape of ``out``."""
        text = self.piece(form).text
        units = [k for k, a in enumerate(equation.out.axes) if a == ONE]
        if units:
            inner = wrap(self.piece(form), ATOM)
            if equation.out.rank == len(units):
                text = f"np.reshape({text}, {(1,) * len(units)})"
            else:
                text = f"{inner}[{', '.join('None' if k in units else ':' for k in range(equation.out.rank))}]"
        return f"{self.names.python(equation.out)} = {text}"

    def piece(self, form: forms.Form) -> Piece:
        match form:
            case forms.Number():
                return fraction(form.value)
            case forms.Constant():
                assert form.constant is not None
                return _constant(form.constant)
            case forms.Extent():
                assert form.dim is not None
                return Piece(form.dim.name)
            case forms.Leaf():
                return self.leaf(form)
            case forms.Ones():
                return Piece(f"np.ones({self.size(form.row)})")
            case forms.Identity():
                return Piece(f"np.eye({self.size(form.row)})")
            case forms.Transpose():
                inner = form.parts[0]
                matrix = inner.row is not None and inner.col is not None
                return Piece(wrap(self.piece(inner), ATOM) + ".T") if matrix else self.piece(inner)
            case forms.Broadcast():
                return self.repeated(form)
            case forms.Diag() | forms.Diagonal():
                return Piece(f"np.diag({self.piece(form.parts[0]).text})")
            case forms.Unvec():
                shape = f"({self.size(form.row)}, {self.size(form.col)})"
                return Piece(f'{wrap(self.piece(form.parts[0]), ATOM)}.reshape({shape}, order="F")')
            case forms.Triangle():
                return self.triangle(form)
            case forms.Cumulative():
                return self.cumulative(form)
            case forms.Product():
                return self.product(form)
            case forms.Kron():
                first, *others = (self.kron_factor(p, form) for p in form.parts)
                return Piece(reduce(lambda whole, part: f"np.kron({whole}, {part})", others, first))
            case forms.Vec():
                return Piece(wrap(self.piece(form.parts[0]), ATOM) + '.ravel(order="F")')
            case forms.Commutation():
                assert form.rows is not None
                assert form.columns is not None
                rows, columns = (definition(x, {}).text for x in (form.rows, form.columns))
                entries = self.size(form.row)
                return Piece(f"np.eye({entries})[np.arange({entries}).reshape(({columns}, {rows})).T.ravel()]")
            case forms.SumOver():
                return self.sum_over(form)
        return self.reduced(form)

    def kron_factor(self, part: forms.Form, whole: forms.Form) -> str:
        """A factor of a Kronecker product; a vector says which way it lies where the product is a matrix."""
        piece = self.piece(part)
        if not forms.is_matrix(whole) or forms.is_matrix(part) or part.is_scalar:
            return piece.text
        return wrap(piece, ATOM) + ("[:, None]" if part.row is not None else "[None, :]")

    def sum_over(self, form: forms.SumOver) -> Piece:
        """A sum of what is made of slices, one at a time."""
        taken = {self.names.python(t) for t in self.names.program.tensors} | self.names.program.numbers
        free = (c for c in "ijklpqrstuvw" if c not in taken)
        shown = {letter: next(free) for letter in form.letters}
        for cut in form.slices:
            places = ", ".join(":" if p is None else shown[p] for p in cut.places)
            self.slices[cut.tensor] = f"{self.names.python(cut.source)}[{places}]"
        rounds = " ".join(f"for {name} in range({self.size(letter)})" for letter, name in shown.items())
        return Piece(f"sum({self.piece(form.parts[0]).text} {rounds})")

    def size(self, letter: object) -> str:
        return definition(letter.extent, {}).text  # type: ignore[attr-defined]

    def leaf(self, form: forms.Leaf) -> Piece:
        if form.tensor in self.slices:
            return Piece(self.slices[form.tensor])
        name = self.names.python(form.tensor)
        if ONE in form.tensor.axes:
            return Piece(f"{name}[{', '.join('0' if a == ONE else ':' for a in form.tensor.axes)}]")
        return Piece(name)

    def repeated(self, form: forms.Form, *, filled: bool = True) -> Piece:
        """A row or column that NumPy expands by itself, in full where nothing else gives the shape."""
        part = form.parts[0]
        piece = self.piece(part)
        if part.row is not None and form.col is not None:
            piece = Piece(wrap(piece, ATOM) + "[:, None]")
        elif forms.lies_in_a_square(form):
            piece = Piece(wrap(piece, ATOM) + "[None, :]")
        if not filled:
            return piece
        shape = ", ".join(self.size(a) for a in (form.row, form.col) if a is not None)
        return Piece(f"np.broadcast_to({piece.text}, ({shape},))")

    def operand(self, form: forms.Form) -> Piece:
        """An operand of an element-wise operation, where NumPy expands."""
        return self.repeated(form, filled=False) if isinstance(form, forms.Broadcast) else self.piece(form)

    def triangle(self, form: forms.Triangle) -> Piece:
        part, offset = form.parts[0], f", {form.offset}" if form.offset else ""
        rows, columns = self.size(form.row), self.size(form.col)
        if not forms.is_ones(part):
            text = self.piece(part).text
        elif form.upper:
            text = f"np.ones(({rows}, {columns}))"
        else:
            return Piece(f"np.tri({rows}{'' if rows == columns and not offset else f', {columns}'}{offset})")
        return Piece(f"np.{'triu' if form.upper else 'tril'}({text}{offset})")

    def cumulative(self, form: forms.Cumulative) -> Piece:
        part = form.parts[0]
        matrix = forms.is_matrix(part)
        axis = f", axis={form.over}" if matrix else ""
        if not form.reverse:
            return Piece(f"np.cumsum({self.piece(part).text}{axis})")
        turn = "[:, ::-1]" if matrix and form.over else "[::-1]"
        return Piece(f"np.cumsum({wrap(self.piece(part), ATOM)}{turn}{axis}){turn}")

    def product(self, form: forms.Form) -> Piece:
        """Runs of matrices, cut where a column meets a row; ones at an end of a run are sums over an axis."""
        runs: list[list[forms.Form]] = [[]]
        for part in form.parts:
            if runs[-1] and runs[-1][-1].col is None:
                runs.append([])
            runs[-1].append(part)
        pieces = [(run, self.run(run)) for run in runs]
        scalars = [wrap(p, TIMES) for run, p in pieces if run[0].row is None and run[-1].col is None]
        outer = [p.text for run, p in pieces if (run[0].row is None) != (run[-1].col is None)]
        if not scalars:
            return Piece(f"np.outer({', '.join(outer)})") if len(outer) == 2 else pieces[0][1]
        rest = [f"np.outer({', '.join(outer)})"] if len(outer) == 2 else outer
        return Piece(" * ".join([*scalars, *rest]), TIMES)

    def run(self, parts: list[forms.Form]) -> Piece:
        """A chain of matrices. A diagonal one scales rows or columns: it is never filled with zeros."""
        first, last = parts[0], parts[-1]
        if len(parts) > 1 and isinstance(last, forms.Ones):
            inner = self.run(parts[:-1])
            return Piece(f"{wrap(inner, ATOM)}.sum(axis=-1)")
        if len(parts) > 1 and isinstance(first, forms.Transpose) and isinstance(first.parts[0], forms.Ones):
            inner = self.run(parts[1:])
            return Piece(f"{wrap(inner, ATOM)}.sum(axis=0)")
        if len(parts) == 1:
            return self.operand(parts[0])
        if isinstance(first, forms.OfMatrix) and first.op == "inv":
            return Piece(f"np.linalg.solve({self.piece(first.parts[0]).text}, {self.run(parts[1:]).text})")
        at = next((k for k, p in enumerate(parts) if isinstance(p, forms.Diag)), None)
        if at is None:
            return Piece(" @ ".join(wrap(self.piece(p), TIGHT) for p in parts), TIMES)
        scale, rest = self.piece(parts[at].parts[0]), parts[at + 1 :]
        if at == 0:
            rows = wrap(scale, ATOM) + "[:, None]" if last.col is not None else wrap(scale, TIGHT)
            return Piece(f"{rows} * {wrap(self.run(rest), TIGHT)}", TIMES)
        axis = parts[at].row
        square = first.row is not None and axis is not None and first.row.extent == axis.extent
        columns = wrap(scale, ATOM) + "[None, :]" if square else wrap(scale, TIGHT)  # which axis has to be said
        scaled = Piece(f"{wrap(self.run(parts[:at]), TIMES)} * {columns}", TIMES)
        return Piece(f"({scaled.text}) @ {wrap(self.run(rest), TIGHT)}", TIMES) if rest else scaled

    def condition(self, form: forms.Form) -> str:
        """What decides a mask; a mask that is no comparison decides by itself."""
        if not isinstance(form, forms.Relation):
            return self.operand(form).text
        left, right, op = *form.parts, form.op
        if isinstance(left, (forms.Number, forms.Negative)):
            left, right, op = right, left, FLIPPED[op]
        return f"{wrap(self.operand(left), SUM)} {op} {wrap(self.operand(right), SUM)}"

    def factor(self, form: forms.Form) -> Piece:
        """A factor: NumPy multiplies with truth values."""
        if isinstance(form, forms.Prime):
            return self.factor(form.parts[1])
        return Piece(f"({self.condition(form)})") if isinstance(form, forms.Relation) else self.operand(form)

    def reduced(self, form: forms.Form) -> Piece:
        inside = [self.operand(p) for p in form.parts]
        match form:
            case forms.Trace():
                return Piece(f"np.trace({self.piece(form.parts[0]).text})")
            case forms.Total():
                return Piece(f"np.sum({self.piece(form.parts[0]).text})")
            case forms.SquaredNorm():
                return Piece(f"np.sum({wrap(self.piece(form.parts[0]), ATOM)} ** 2)")
            case forms.OfMatrix():
                return Piece(_OF_MATRIX[form.op].format(self.piece(form.parts[0]).text))
            case forms.Share():
                assert form.function is not None
                whole = wrap(applied(form.function, inside), TIMES)
                axis = "" if form.over is None else f", axis={form.over}"
                return Piece(f"{whole} / np.sum({whole}{axis}){'[:, None]' if form.over == 1 else ''}", TIMES)
            case forms.Extremum():
                axis = "" if form.over is None else f", axis={form.over}"
                return Piece(f"np.{form.op}({self.piece(form.parts[0]).text}{axis})")
            case forms.Sum():
                return added(form.parts, inside)
            case forms.Negative():
                return Piece("-" + wrap(inside[0], TIMES), SUM)
            case forms.Scale() | forms.Hadamard():
                if not all(forms.is_mask(p) for p in form.parts):
                    inside = [self.factor(p) for p in form.parts]
                return Piece(" * ".join([wrap(inside[0], TIMES), *(wrap(p, TIGHT) for p in inside[1:])]), TIMES)
            case forms.Quotient():
                return Piece(f"{wrap(inside[0], TIMES)} / {wrap(inside[1], TIGHT)}", TIMES)
            case forms.Power():
                return Piece(f"{wrap(inside[0], ATOM)} ** {wrap(inside[1], ATOM)}", TIGHT)
            case forms.Prime():
                return inside[1]
            case forms.Relation():
                return Piece(f"np.where({self.condition(form)}, 1.0, 0.0)")
            case forms.Negation():
                return Piece(f"1 - {wrap(inside[0], TIMES)}", SUM)
            case forms.Where():
                return Piece(f"np.where({self.condition(form.parts[0])}, {inside[1].text}, {inside[2].text})")
            case forms.Apply():
                assert form.function is not None
                return applied(form.function, inside)
        raise TypeError(f"no NumPy text for {type(form).__name__}")


def wrap(piece: Piece, level: int) -> str:
    """The text, in parentheses where it binds less tightly than ``level``."""
    return piece.text if piece.level >= level else f"({piece.text})"


def fraction(value: Fraction) -> Piece:
    """An exact number.

    >>> fraction(Fraction(-1, 2)).text
    '-1 / 2'
    """
    if value.denominator == 1:
        return Piece(str(value.numerator), ATOM if value >= 0 else SUM)
    return Piece(f"{value.numerator} / {value.denominator}", TIMES if value > 0 else SUM)


def added(parts: tuple[forms.Form, ...], inside: list[Piece]) -> Piece:
    """A sum, a leading minus of a term becoming a difference."""
    text = ""
    for k, piece in enumerate(inside):
        if k and piece.text.startswith("-") and piece.level == SUM and isinstance(parts[k], forms.Negative):
            text += f" - {piece.text[1:]}"
        else:
            text += (" + " if k else "") + wrap(piece, TIMES if k else SUM)
    return Piece(text, SUM)


def applied(function: ScalarFunction, arguments: list[Piece]) -> Piece:
    """A scalar function: NumPy's own, or its definition."""
    if function.definition is None or function.name in ("log1p", "expm1") or function is SIGN:
        name = _NUMPY.get(function.name, function.name)
        return Piece(f"{name if '.' in name else 'np.' + name}({', '.join(a.text for a in arguments)})")
    return definition(function.definition, dict(zip(function.parameters, arguments, strict=True)))


def definition(e: Expr, given: dict[str, Piece]) -> Piece:
    """A pointwise expression over parameters and extents."""

    def at(x: Expr, level: int) -> str:
        return wrap(definition(x, given), level)

    match e:
        case Parameter():
            return given[e.name]
        case Num():
            return fraction(e.value)
        case Const():
            return _constant(e)
        case Dim():
            return Piece(e.name)
        case Add():
            return Piece(" + ".join(at(t, TIMES) for t in e.args), SUM)
        case Mul():
            return Piece(" * ".join(at(f, TIGHT) for f in e.args), TIMES)
        case Pow():
            return Piece(f"{at(e.base, ATOM)} ** {at(e.exponent, ATOM)}", TIGHT)
        case Call():
            return applied(e.function, [definition(a, given) for a in e.arguments])
        case Compare():
            return Piece(f"np.where({_condition(e, given)}, 1.0, 0.0)")
        case Not():
            return Piece(f"1 - {at(e.args[0], TIMES)}", SUM)
        case Select():
            return Piece(f"np.where({_condition(e.mask, given)}, {at(e.chosen, SUM)}, {at(e.other, SUM)})")
    raise TypeError(f"no NumPy text for {type(e).__name__}")


def _constant(e: Const) -> Piece:
    return Piece(f"np.{e.name}" if e.value is None else identifier(e.name))


def _condition(e: Expr, given: dict[str, Piece]) -> str:
    if not isinstance(e, Compare):
        return definition(e, given).text
    return f"{wrap(definition(e.left, given), SUM)} {e.op} {wrap(definition(e.right, given), SUM)}"
