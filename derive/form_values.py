"""The value of a matrix form in plain NumPy, by the definition of each node.

In: a form, arrays of tensors, sizes of extents. Out: the array with one axis for each letter asked for. It
exists so that lifting can be tested against the interpreter of index equations; nothing computes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive import forms
from derive.evaluate import evaluate_expr, extent
from derive.expr import Call, Letter, Num, compare, num
from derive.matrix_functions import value_of
from derive.numeric import numeric
from derive.program import Tensor

Array = NDArray[Any]


def evaluate_form(
    form: forms.Form, letters: tuple[Letter, ...], values: Mapping[Tensor, Array], sizes: Mapping[str, int]
) -> Array:
    """The array of ``form`` over ``letters``, which are its axes in the order wanted.

    Letters of literal extent 1 are allowed beside its axes.
    """
    with np.errstate(all="ignore"):
        found = _Values(values, sizes).at(form)
    wanted = tuple(a for a in letters if a.extent != num(1))
    if wanted and wanted[0] != (form.row or form.col):
        found = found.T
    return found.reshape(tuple(extent(a.extent, sizes) for a in letters))


class _Values:
    """Evaluation to two-dimensional arrays, an axis of length 1 where the form has none."""

    def __init__(self, values: Mapping[Tensor, Array], sizes: Mapping[str, int]) -> None:
        self.values, self.sizes = values, sizes

    def size(self, letter: Letter | None) -> int:
        return 1 if letter is None else extent(letter.extent, self.sizes)

    def at(self, form: forms.Form) -> Array:
        found = np.asarray(self.compute(form))
        shape = self.size(form.row), self.size(form.col)
        assert found.shape == shape, (type(form).__name__, found.shape, shape)
        return found

    def compute(self, form: forms.Form) -> Any:
        shape = self.size(form.row), self.size(form.col)
        match form:
            case forms.Number():
                return np.full(shape, float(form.value))
            case forms.Constant():
                assert form.constant is not None
                return np.full(shape, numeric(form.constant))
            case forms.Extent():
                assert form.dim is not None
                return np.full(shape, float(extent(form.dim, self.sizes)))
            case forms.Leaf():
                return np.asarray(self.values[form.tensor]).reshape(shape)
            case forms.Ones():
                return np.ones(shape)
            case forms.Identity():
                return np.eye(*shape)
            case forms.SumOver():
                return self.sum_over(form)
            case forms.Commutation():
                assert form.rows is not None
                assert form.columns is not None
                rows, columns = extent(form.rows, self.sizes), extent(form.columns, self.sizes)
                return np.eye(rows * columns).reshape(columns, rows, -1).transpose(1, 0, 2).reshape(shape)
        parts = [self.at(p) for p in form.parts]
        match form:
            case forms.Transpose():
                return parts[0].T
            case forms.Broadcast():
                return np.broadcast_to(parts[0], shape)
            case forms.Diag():
                return np.diag(parts[0].ravel())
            case forms.Diagonal():
                return np.diag(parts[0])[:, None]
            case forms.Triangle():
                return (np.triu if form.upper else np.tril)(parts[0], form.offset)
            case forms.Cumulative():
                turned = np.flip(parts[0], form.over) if form.reverse else parts[0]
                sums = np.cumsum(turned, form.over)
                return np.flip(sums, form.over) if form.reverse else sums
            case forms.Product():
                return _chain(parts)
            case forms.Kron():
                return reduce(np.kron, parts)
            case forms.Unvec():
                return parts[0].reshape(shape, order="F")
            case forms.Vec():
                return parts[0].ravel(order="F")[:, None]
            case forms.Trace():
                return np.trace(parts[0])[None, None]
            case forms.Total():
                return parts[0].sum().reshape(1, 1)
            case forms.SquaredNorm():
                return (parts[0] * parts[0]).sum().reshape(1, 1)
            case forms.OfMatrix():
                return value_of(form.op, parts[0]).reshape(shape)
            case forms.Share():
                assert form.function is not None
                whole = np.asarray(self.function(forms.Apply(form.row, form.col, form.parts, form.function), parts))
                axis = form.over if form.over is not None else 0 if form.col is None else 1
                return whole / whole.sum(axis=axis, keepdims=True)
            case forms.Extremum():
                return _reduced(form, parts[0]).reshape(shape)
        return self.elementwise(form, parts)

    def sum_over(self, form: forms.SumOver) -> Array:
        """The sum, with the slices of each round as tensors."""
        total: Any = 0.0
        for at in np.ndindex(*(self.size(a) for a in form.letters)):
            places: dict[Letter | None, Any] = {None: slice(None), **dict(zip(form.letters, at, strict=True))}
            slices = {s.tensor: self.values[s.source][tuple(places[p] for p in s.places)] for s in form.slices}
            total = total + _Values({**self.values, **slices}, self.sizes).at(form.parts[0])
        return np.asarray(total)

    def elementwise(self, form: forms.Form, parts: list[Array]) -> Any:
        match form:
            case forms.Sum():
                return sum(parts[1:], parts[0])
            case forms.Negative():
                return -parts[0]
            case forms.Scale() | forms.Hadamard():
                return _masked_product(form, parts)
            case forms.Quotient():
                return parts[0] / parts[1]
            case forms.Power():
                x = parts[1]
                return parts[0] ** int(x.item()) if x.size == 1 and x.item().is_integer() else parts[0] ** x
            case forms.Negation():
                return 1 - parts[0]
            case forms.Prime():
                return parts[1]
            case forms.Where():
                return np.where(parts[0] != 0, parts[1], parts[2])
            case forms.Apply() | forms.Relation():
                return self.function(form, parts)
        raise TypeError(f"cannot evaluate {type(form).__name__}")

    def function(self, form: forms.Apply | forms.Relation, parts: list[Array]) -> Any:
        """A scalar function at arrays, by the interpreter of index expressions."""
        letters = tuple(a for a in (form.row, form.col) if a is not None)
        shape = tuple(self.size(a) for a in letters)
        tensors = [Tensor("", tuple(a.extent for a in letters)) for _ in parts]
        arguments = [t.at(letters) for t in tensors]
        if isinstance(form, forms.Relation):
            e = compare(form.op, *arguments)
        else:
            assert form.function is not None
            # A number stays one, so that an exact exponent keeps its meaning for a negative base.
            known = [
                Num(p.value) if isinstance(p, forms.Number) else a for p, a in zip(form.parts, arguments, strict=True)
            ]
            e = Call(form.function, *known)
        two = (self.size(form.row), self.size(form.col))
        arrays = {t: np.broadcast_to(p, two).reshape(shape) for t, p in zip(tensors, parts, strict=True)}
        found = evaluate_expr(e, letters, arrays, self.sizes)
        assert found is not None
        return found.reshape(two)


def _chain(parts: list[Array]) -> Array:
    found = parts[0]
    for part in parts[1:]:
        found = found @ part
    return found


def _masked_product(form: forms.Form, parts: list[Array]) -> Array:
    """The product; a mask absorbs, whatever the other factors are where it is 0."""
    found: Any = 1.0
    pairs = list(zip(form.parts, parts, strict=True))
    for part, array in pairs:
        if not forms.is_mask(part):
            found = found * array
    for part, array in pairs:
        if forms.is_mask(part):
            found = np.where(array != 0, found, 0.0)
    return np.asarray(found)


def _reduced(form: forms.Extremum, x: Array) -> Array:
    part = form.parts[0]
    axis = None if form.is_scalar else 0 if part.row not in form.axes else 1
    return np.asarray(getattr(np, form.op)(x, axis=axis))
