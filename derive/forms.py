"""Matrix forms, and how they are put together: products, transposes, triangles, and what a form is.

In: forms (`derive.form_nodes`). Out: forms that are simplest for a reader: products flat with numbers in front,
transpositions at the leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from derive.expr import Letter
from derive.form_nodes import (
    ELEMENTWISE,
    MASKS,
    Apply,
    Broadcast,
    Commutation,
    Constant,
    Cumulative,
    Diag,
    Diagonal,
    Extent,
    Extremum,
    Form,
    Hadamard,
    Identity,
    Kron,
    Leaf,
    Negation,
    Negative,
    Number,
    OfMatrix,
    Ones,
    Power,
    Prime,
    Product,
    Quotient,
    Relation,
    Scale,
    Share,
    Slice,
    SquaredNorm,
    Sum,
    SumOver,
    Total,
    Trace,
    Transpose,
    Triangle,
    Unvec,
    Vec,
    Where,
)
from derive.program import Tensor

__all__ = [
    "ELEMENTWISE",
    "MASKS",
    "Apply",
    "Broadcast",
    "Commutation",
    "Constant",
    "Cumulative",
    "Diag",
    "Diagonal",
    "Extent",
    "Extremum",
    "Form",
    "Hadamard",
    "Identity",
    "Kron",
    "Leaf",
    "Negation",
    "Negative",
    "Number",
    "OfMatrix",
    "Ones",
    "Power",
    "Prime",
    "Product",
    "Quotient",
    "Relation",
    "Scale",
    "Share",
    "Slice",
    "SquaredNorm",
    "Sum",
    "SumOver",
    "Total",
    "Trace",
    "Transpose",
    "Triangle",
    "Unvec",
    "Vec",
    "Where",
    "effort",
    "in_order",
    "is_mask",
    "is_matrix",
    "is_ones",
    "is_symmetric",
    "kron",
    "leaf",
    "lies_in_a_square",
    "number",
    "ones",
    "product",
    "renamed",
    "same",
    "times",
    "transpose",
    "triangle",
    "walk",
]


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

    >>> from derive.expr import Dim, fresh
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
        parts = tuple(transpose(p) for p in form.parts)
        return replace(form, row=form.col, col=form.row, parts=in_order(parts) if isinstance(form, Sum) else parts)
    if isinstance(form, (Identity, Diag)) or (isinstance(form, Leaf) and form.tensor.is_symmetric):
        return replace(form, row=form.col, col=form.row)
    if isinstance(form, OfMatrix) and form.op == "inv" and is_symmetric(form.parts[0]):
        return replace(form, row=form.col, col=form.row)
    outside = Transpose(form.col, form.row, (form,))
    inside: Form = outside
    if isinstance(form, Kron):
        inside = replace(form, row=form.col, col=form.row, parts=tuple(map(transpose, form.parts)))
    elif isinstance(form, Triangle):
        inside = Triangle(form.col, form.row, (transpose(form.parts[0]),), not form.upper, -form.offset)
    elif isinstance(form, Share):
        over, argument = None if form.over is None else 1 - form.over, transpose(form.parts[0])
        inside = replace(form, row=form.col, col=form.row, parts=(argument,), over=over)
        if is_matrix(form):  # Pᵀ is read as that of P, but where the argument is shorter
            return inside if effort(argument) < effort(form.parts[0]) else outside
    elif isinstance(form, Cumulative) and is_matrix(form):
        inside = Cumulative(form.col, form.row, (transpose(form.parts[0]),), 1 - form.over, form.reverse)
    return min(outside, inside, key=effort)


def in_order(parts: Iterable[Form]) -> tuple[Form, ...]:
    """The terms of a sum as they stand: negative ones behind, a matrix in front of itself transposed."""
    found = sorted(parts, key=lambda f: isinstance(f, Negative))
    for k, part in enumerate(found):
        if isinstance(part, Transpose) and isinstance(part.parts[0], Leaf):
            same = (
                j for j, f in enumerate(found) if j > k and isinstance(f, Leaf) and f.tensor is part.parts[0].tensor
            )
            j = next(same, k)
            found[k], found[j] = found[j], found[k]
    return tuple(found)


def is_matrix(form: Form) -> bool:
    """Whether it has rows and columns."""
    return form.row is not None and form.col is not None


def is_symmetric(form: Form) -> bool:
    """Whether a form reads the same transposed: ``Xᵀ X``, or a matrix that is promised to be symmetric."""
    square = form.row is not None and form.col is not None and form.row.extent == form.col.extent
    return square and without_letters(transpose(form)) == without_letters(form)


def without_letters(form: Form) -> Form:
    """The form with every letter replaced by one for its extent: what it looks like."""
    row, col = (None if a is None else Letter(a.extent, 0) for a in (form.row, form.col))
    return replace(form, row=row, col=col, parts=tuple(map(without_letters, form.parts)))


def same(first: Form, second: Form) -> bool:
    """Whether two forms are the same matrix, whatever letters count its rows and columns."""
    return without_letters(first) == without_letters(second)


def renamed(form: Form, table: Mapping[Letter | None, Letter | None]) -> Form:
    """The form with other letters."""
    parts = tuple(renamed(p, table) for p in form.parts)
    return replace(form, row=table.get(form.row, form.row), col=table.get(form.col, form.col), parts=parts)


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

    >>> from derive.expr import Dim, fresh
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
    made = _running(flat)
    if scalars:
        made = Scale(made.row, made.col, (*scalars, made))
    return Negative(made.row, made.col, (made,)) if sign < 0 else made


def kron(row: Letter | None, col: Letter | None, *parts: Form) -> Kron:
    """The Kronecker product, flat."""
    return Kron(row, col, tuple(q for p in parts for q in (p.parts if isinstance(p, Kron) else (p,))))


def _running(flat: list[Form]) -> Form:
    """The product of matrices; one with a triangle of ones is a cumulative sum, a number yᵀ V Vᵀ y is ‖Vᵀ y‖²."""
    if len(flat) == 1:
        return flat[0]
    second, turned = flat[len(flat) // 2 :], [transpose(p) for p in reversed(flat)]
    if flat[0].row is flat[-1].col is None and len(flat) % 2 == 0 and all(map(same, flat, turned)):
        return SquaredNorm(None, None, (_running(second),))
    for over, factor in ((0, flat[0]), (1, flat[-1])):
        if isinstance(factor, Triangle) and factor.offset == 0 and is_ones(factor.parts[0]):
            assert factor.row is not None
            assert factor.col is not None
            if factor.row.extent == factor.col.extent:
                rest = _running(flat[1:] if over == 0 else flat[:-1])
                # The rest may count with the letter that is summed; what stands outside is the product's own.
                return Cumulative(flat[0].row, flat[-1].col, (rest,), over, factor.upper == (over == 0))
    return Product(flat[0].row, flat[-1].col, tuple(flat))


def triangle(part: Form, *, upper: bool, offset: int) -> Form:
    """A triangle of a matrix, numbers in front of it."""
    match part:
        case Negative():
            return Negative(part.row, part.col, (triangle(part.parts[0], upper=upper, offset=offset),))
        case Scale():
            return replace(part, parts=(*part.parts[:-1], triangle(part.parts[-1], upper=upper, offset=offset)))
    return Triangle(part.row, part.col, (part,), upper, offset)


def is_ones(form: Form) -> bool:
    """Whether it is the matrix of ones, ``1 1ᵀ``."""
    if not isinstance(form, Product) or len(form.parts) != 2:
        return False
    first, last = form.parts
    return isinstance(first, Ones) and isinstance(last, Transpose) and isinstance(last.parts[0], Ones)


def times(scalars: list[Form]) -> Form:
    """The product of numbers."""
    if not scalars:
        return number(1)
    return scalars[0] if len(scalars) == 1 else Scale(None, None, tuple(scalars))
