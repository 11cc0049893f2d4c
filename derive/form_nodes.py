"""The nodes of matrix forms: an immutable tree of matrices, vectors and scalars that equals an index expression.

In: what `derive.lift` finds. Out: a tree that prints (`derive.notation`) and evaluates (`derive.form_values`).
Each form knows which letter runs down its rows and which along its columns; None stands for no axis there, so
that columns (i, None), rows (None, i) and scalars (None, None) are matrices too and nothing is left to guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from derive.expr import Const, Dim, Expr, Letter
from derive.functions import ScalarFunction


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
    """``pi``, ``e`` or a constant of the model."""

    constant: Const | None = None


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
    """The diagonal of a square matrix, as a column. The part counts its rows and columns with the same letter."""


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


@dataclass(frozen=True)
class Triangle(Form):
    """The part where ``column ≤ row + offset``, of an ``upper`` one where ``column ≥ row + offset``; 0 elsewhere."""

    upper: bool = False
    offset: int = 0


# --- contraction -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Product(Form):
    """A product of matrices, inner axes equal; of a column and a row it is the outer product."""


@dataclass(frozen=True)
class Cumulative(Form):
    """Sums of the first entries along an axis, ``over`` 0 down the columns and 1 along the rows; of the last ones in
    ``reverse``. That is a product with a triangle of ones, from the left or from the right.
    """

    over: int = 0
    reverse: bool = False


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
class Share(Form):
    """A function of the part, element by element, divided by the sum of that along an axis, ``over``: a softmax.

    ``over`` counts the axis as the part stands, or is None where it has one only.
    """

    function: ScalarFunction | None = None
    name: str = ""
    over: int | None = None


@dataclass(frozen=True)
class OfMatrix(Form):
    """A function of the whole matrix that the part is (see `derive.matrix_functions`): its inverse, its determinant.

    The part counts its rows and columns with letters of its own.
    """

    op: str = "inv"


# --- matrices of matrices -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kron(Form):
    """The Kronecker product: each entry of the first part times the second part."""


@dataclass(frozen=True)
class Vec(Form):
    """The columns of the part below each other."""


@dataclass(frozen=True)
class Unvec(Form):
    """The matrix whose columns, below each other, are the part."""


@dataclass(frozen=True)
class Commutation(Form):
    """K with K vec(X) = vec(Xᵀ), for an X with these rows and columns."""

    rows: Expr | None = None
    columns: Expr | None = None


@dataclass(frozen=True)
class Slice:
    """``tensor`` stands for ``source`` at these places; along the axes where there is None it is whole."""

    tensor: Any
    source: Any
    places: tuple[Letter | None, ...]

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a matrix."""
        return len(self.places) == 2 and self.places[1] is None and self.places[0] is not None


@dataclass(frozen=True)
class SumOver(Form):
    """The sum of the part over letters that it reads ``slices`` of tensors at."""

    letters: tuple[Letter, ...] = ()
    slices: tuple[Slice, ...] = ()


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
