"""Matrix forms: an immutable tree of matrices, vectors and scalars that equals an index expression.

In: what `derive.lift` finds. Out: a tree that prints (`derive.notation`) and evaluates (`derive.form_values`).
Each form knows which letter runs down its rows and which along its columns; None stands for no axis there, so
that columns (i, None), rows (None, i) and scalars (None, None) are matrices too and nothing is left to guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from derive.expr import Dim, Letter
from derive.functions import ScalarFunction
from derive.program import Tensor


@dataclass(frozen=True)
class Form:
    """A matrix whose rows are counted by ``row`` and whose columns by ``col``; ``parts`` are its operands."""

    row: Letter | None
    col: Letter | None
    parts: tuple[Form, ...] = ()

    @property
    def axes(self) -> frozenset[Letter]:
        """The letters that it depends on."""
        return frozenset(a for a in (self.row, self.col) if a is not None)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single number."""
        return self.row is None and self.col is None


# --- leaves --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Form):
    """An exact number."""

    value: Fraction = Fraction(0)


@dataclass(frozen=True)
class Constant(Form):
    """``pi`` or ``e``."""

    name: str = ""


@dataclass(frozen=True)
class Extent(Form):
    """The extent of an axis, as a number."""

    dim: Dim | None = None


@dataclass(frozen=True)
class Leaf(Form):
    """A tensor as it is stored: a vector is a column, an axis of literal extent 1 is no axis."""

    tensor: Any = None


@dataclass(frozen=True)
class Diagonal(Form):
    """The diagonal of a square matrix, as a column."""

    tensor: Any = None


@dataclass(frozen=True)
class Ones(Form):
    """A column of ones."""


@dataclass(frozen=True)
class Identity(Form):
    """The identity matrix."""


# --- arrangement -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transpose(Form):
    """A leaf or a reduction, transposed; `transpose` pushes it there."""


@dataclass(frozen=True)
class Broadcast(Form):
    """A row, a column or a number repeated to fill ``row`` and ``col``."""


@dataclass(frozen=True)
class Diag(Form):
    """The square matrix with a column on its diagonal."""


# --- contraction -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Product(Form):
    """A product of matrices, inner axes equal; of a column and a row it is the outer product."""


@dataclass(frozen=True)
class Trace(Form):
    """The sum of the diagonal."""


@dataclass(frozen=True)
class Total(Form):
    """The sum of all entries."""


@dataclass(frozen=True)
class SquaredNorm(Form):
    """The sum of the squares of all entries."""


@dataclass(frozen=True)
class Extremum(Form):
    """``max``, ``min``, ``prod``, ``argmax`` or ``argmin`` over all axes of the part that are not its own.

    ``over`` counts the reduced axis as the tensor stands, or is None for all of them.
    """

    op: str = "max"
    over: int | None = None


@dataclass(frozen=True)
class OfMatrix(Form):
    """A function of the whole matrix that the part is (see `derive.matrix_functions`): its inverse, its determinant.

    The part counts its rows and columns with letters of its own.
    """

    op: str = "inv"


# --- element by element ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sum(Form):
    """A sum of parts of the same axes."""


@dataclass(frozen=True)
class Negative(Form):
    """Minus the part."""


@dataclass(frozen=True)
class Scale(Form):
    """Numbers (all parts but the last) times the last part."""


@dataclass(frozen=True)
class Hadamard(Form):
    """The element-wise product of parts of the same axes."""


@dataclass(frozen=True)
class Quotient(Form):
    """The first part divided, element by element, by the second or by the number that the second is."""


@dataclass(frozen=True)
class Power(Form):
    """The first part to the power of the second, element by element."""


@dataclass(frozen=True)
class Apply(Form):
    """A scalar function of the parts, element by element."""

    function: ScalarFunction | None = None


@dataclass(frozen=True)
class Prime(Form):
    """The derivative of a scalar function at the first part; the second part is what that is."""

    function: ScalarFunction | None = None


@dataclass(frozen=True)
class Relation(Form):
    """1 where ``first op second`` holds, else 0."""

    op: str = "<"


@dataclass(frozen=True)
class Negation(Form):
    """1 where the part, a mask, is 0, and 0 where it is 1."""


@dataclass(frozen=True)
class Where(Form):
    """The second part where the first, a mask, is 1; the third elsewhere."""


ELEMENTWISE = (
    Sum,
    Negative,
    Scale,
    Hadamard,
    Quotient,
    Power,
    Apply,
    Prime,
    Relation,
    Negation,
    Where,
)
MASKS = (Relation, Negation, Identity)


def number(value: int | Fraction) -> Number:
    """The form of an exact number."""
    return Number(None, None, (), Fraction(value))


def leaf(tensor: Tensor, axes: tuple[Letter, ...]) -> Leaf:
    """A tensor at distinct letters; axes of literal extent 1 have none (see `Leaf`)."""
    places = iter(axes)
    found = [None if _is_one(x) else next(places) for x in tensor.axes]
    row, col = (*found, None, None)[:2]
    return Leaf(row, col, (), tensor)


def _is_one(extent: Any) -> bool:
    return getattr(extent, "value", None) == 1


def lies_in_a_square(form: Form) -> bool:
    """Whether a vector is repeated along one of two axes of equal extent: which of them has to be said."""
    part = form.parts[0]
    square = form.row is not None and form.col is not None and form.row.extent == form.col.extent
    return square and (part.row is None) != (part.col is None)


def ones(letter: Letter) -> Ones:
    """The column of ones along a letter."""
    return Ones(letter, None)


def transpose(form: Form) -> Form:
    """The transposed form, with the transposition at the leaves.

    >>> from derive.expr import fresh
    >>> v = ones(fresh(Dim("n"), "n")); transpose(transpose(v)) == v
    True
    """
    if form.is_scalar:
        return form
    if isinstance(form, Transpose):
        return form.parts[0]
    if isinstance(form, Product):
        return replace(form, row=form.col, col=form.row, parts=tuple(transpose(p) for p in reversed(form.parts)))
    if isinstance(form, (*ELEMENTWISE, Broadcast)):
        return replace(form, row=form.col, col=form.row, parts=tuple(transpose(p) for p in form.parts))
    if isinstance(form, (Identity, Diag)) or (isinstance(form, Leaf) and form.tensor.is_symmetric):
        return replace(form, row=form.col, col=form.row)
    if isinstance(form, OfMatrix) and form.op == "inv" and is_symmetric(form.parts[0]):
        return replace(form, row=form.col, col=form.row)
    return Transpose(form.col, form.row, (form,))


def is_symmetric(form: Form) -> bool:
    """Whether a form reads the same transposed: ``Xᵀ X``, or a matrix that is promised to be symmetric."""
    square = form.row is not None and form.col is not None and form.row.extent == form.col.extent
    return square and _without_letters(transpose(form)) == _without_letters(form)


def _without_letters(form: Form) -> Form:
    """The form with every letter replaced by one for its extent: what it looks like."""
    row, col = (None if a is None else Letter(a.extent, 0) for a in (form.row, form.col))
    return replace(form, row=row, col=col, parts=tuple(map(_without_letters, form.parts)))


def is_mask(form: Form) -> bool:
    """Whether it is 0 or 1 by a condition, so that it absorbs what it is multiplied with."""
    if isinstance(form, Prime):
        return is_mask(form.parts[1])
    if isinstance(form, (Broadcast, Transpose)):
        return is_mask(form.parts[0])
    return isinstance(form, MASKS)


def walk(form: Form) -> Iterator[Form]:
    """Every node, parents first."""
    yield form
    for part in form.parts:
        yield from walk(part)


def effort(form: Form) -> tuple[int, int, int]:
    """What an orientation costs a reader: transposed matrices and vectors, transposed ones, nodes."""
    nodes = list(walk(form))
    turned = [n.parts[0] for n in nodes if isinstance(n, Transpose)]
    plain = sum(not isinstance(t, Ones) for t in turned)
    return plain, len(turned) - plain, len(nodes)


def product(*parts: Form) -> Form:
    """The matrix product, flat, with numbers in front.

    >>> from derive.expr import fresh
    >>> n, m = fresh(Dim("n"), "n"), fresh(Dim("m"), "m")
    >>> product(ones(n), transpose(ones(m))).axes == {n, m}
    True
    """
    flat: list[Form] = []
    scalars: list[Form] = []
    sign = 1
    for part in parts:
        while isinstance(part, (Scale, Negative)):
            if isinstance(part, Negative):
                sign = -sign
            else:
                scalars.extend(part.parts[:-1])
            part = part.parts[-1]
        if isinstance(part, Product) and not part.is_scalar:
            flat.extend(part.parts)
        elif part.is_scalar:
            scalars.extend([] if part == number(1) else [part])
        else:
            flat.append(part)
    if not flat:
        made: Form = times(scalars)
        return Negative(None, None, (made,)) if sign < 0 else made
    made = flat[0] if len(flat) == 1 else Product(flat[0].row, flat[-1].col, tuple(flat))
    if scalars:
        made = Scale(made.row, made.col, (*scalars, made))
    return Negative(made.row, made.col, (made,)) if sign < 0 else made


def times(scalars: list[Form]) -> Form:
    """The product of numbers."""
    if not scalars:
        return number(1)
    return scalars[0] if len(scalars) == 1 else Scale(None, None, tuple(scalars))
