"""The oracle: a definitional interpreter of programs in plain NumPy.

In: a program and values for what it declares. Out: an array for every tensor. Nothing is optimized: each
expression is evaluated over the full grid of its letters, so that what runs is the definition itself. Only a sum of
products over a grid too large to be held is contracted factor by factor.
Complex values are allowed (comparisons look at the real part), which gives complex-step derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from derive.errors import GradcError
from derive.expr import (
    Access,
    Add,
    Call,
    Compare,
    Const,
    Dim,
    Expr,
    Letter,
    Mask,
    MatrixCall,
    Mul,
    Not,
    Num,
    Pow,
    Reduce,
    Select,
    num,
)
from derive.matrix_functions import MATRIX_FUNCTIONS, value_of
from derive.numeric import numeric
from derive.program import Equation, Program, Tensor, reads
from derive.recurrence import Recurrence, blocks
from derive.rewrite import substitute

Array = NDArray[Any]

_FUNCTIONS: dict[str, Any] = {
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "erf": special.erf,
    "log1p": np.log1p,
    "expm1": np.expm1,
}
_RELATIONS: dict[str, Any] = {"<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal}
_LARGEST = 10**5  # entries of a grid that is held as a whole
_REDUCTIONS: dict[str, Any] = {"sum": np.sum, "prod": np.prod}


def evaluate(
    program: Program, values: Mapping[str, ArrayLike], sizes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Every tensor of ``program``, by name, at the given inputs, targets and parameters.

    Extents follow from the shapes of the values, then from ``sizes``, then from the defaults. A declared
    tensor without a value is skipped together with what rests on it.

    Raises GradcError where shapes do not fit the declared axes.
    """
    arrays: dict[Tensor, Array] = {}
    for t in program.declared:
        if t.name in values:
            arrays[t] = np.asarray(values[t.name])
        elif t.kind == "const":
            arrays[t] = np.array(_floats(t.values))
    known = find_sizes(program, arrays, sizes)
    for t, a in arrays.items():
        expected = tuple(extent(x, known) for x in t.axes)
        if a.shape != expected:
            raise GradcError(f"{t.name} has shape {a.shape}, expected {list(t.axes)} = {expected}")
    run(program.equations, arrays, known)
    return {t.name: a for t, a in arrays.items()}


def run(equations: Iterable[Equation], arrays: dict[Tensor, Array], sizes: Mapping[str, int]) -> None:
    """Evaluate equations in order into ``arrays``; those whose operands are missing are left out."""
    for block in blocks(tuple(equations)):
        if isinstance(block, Recurrence):
            _run_rounds(block, arrays, sizes)
            continue
        value = evaluate_expr(block.body, block.letters, arrays, sizes)
        if value is not None:
            arrays[block.out] = value


def _run_rounds(loop: Recurrence, arrays: dict[Tensor, Array], sizes: Mapping[str, int]) -> None:
    """A recurrence round by round, over the whole of what its places before and after it may reach."""
    own = {e.out for e in loop.equations}
    if any(t not in own and t not in arrays for e in loop.equations for t in reads(e.body)):
        return
    known = [a for e in loop.equations for t in reads(e.body) if t not in own for a in [arrays[t]]]
    kind = np.result_type(float, *(a.dtype for a in known))
    for e in loop.equations:  # what is read before it is there shows as a number that is none
        arrays[e.out] = np.full([extent(a, sizes) for a in e.out.axes], np.nan, kind)
    rounds = range(extent(loop.extent, sizes))
    for place in rounds if loop.step > 0 else reversed(rounds):
        for e in loop.equations:
            letter, axis = loop.letters[e.out], loop.axis(e.out)
            if place < extent(letter.extent, sizes):
                rest = tuple(x for x in e.letters if x != letter)
                value = evaluate_expr(substitute(e.body, {letter: num(place)}), rest, arrays, sizes)
                arrays[e.out][(slice(None),) * axis + (place,)] = value


def evaluate_expr(
    e: Expr, letters: tuple[Letter, ...], arrays: Mapping[Tensor, Array], sizes: Mapping[str, int]
) -> Array | None:
    """The array of ``e`` over the grid of ``letters``; None where a tensor that it reads has no value."""
    try:
        value = _Grid(arrays, sizes).at(e, letters, False)
    except _MissingError:
        return None
    shape = tuple(extent(a.extent, sizes) for a in letters)
    return np.array(np.broadcast_to(value, shape))


def extent(e: Expr, sizes: Mapping[str, int]) -> int:
    """The integer value of an extent.

    >>> extent(2 * Dim("n") + 1, {"n": 3})
    7
    """
    if isinstance(e, Num) and e.value.denominator == 1:
        return int(e.value)
    if isinstance(e, Dim):
        if e.name not in sizes:
            raise GradcError(f"the size of {e.name} is not known")
        return sizes[e.name]
    if isinstance(e, Add):
        return sum(extent(t, sizes) for t in e.args)
    if isinstance(e, Mul):
        return int(np.prod([extent(f, sizes) for f in e.args]))
    if isinstance(e, Pow):
        return int(extent(e.base, sizes) ** extent(e.exponent, sizes))
    raise GradcError(f"{e} is not an extent")


def find_sizes(
    program: Program, arrays: Mapping[Tensor, Array], sizes: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The extents by name: from arrays, then ``sizes``, then defaults; derived ones last."""
    known: dict[str, int] = {}
    for t, a in arrays.items():
        for axis, size in zip(t.axes, a.shape, strict=False):
            if isinstance(axis, Dim) and known.setdefault(axis.name, size) != size:
                raise GradcError(f"{t.name} has shape {a.shape}: {axis} is {known[axis.name]} elsewhere")
    for name, size in (sizes or {}).items():
        known.setdefault(name, size)
    for d in program.dims:
        if d.derived is None and d.default is not None:
            known.setdefault(d.name, d.default)
    for d in program.dims:
        if d.derived is not None:
            known.setdefault(d.name, extent(d.derived, known))
    return known


def _floats(values: Any) -> Any:
    return [_floats(v) for v in values] if isinstance(values, (list, tuple)) else float(values)


class _MissingError(Exception):
    """A tensor without a value was read."""


class _Grid:
    """Evaluation over grids: the result of ``at`` broadcasts against one array axis a letter."""

    def __init__(self, arrays: Mapping[Tensor, Array], sizes: Mapping[str, int]) -> None:
        self.arrays, self.sizes = arrays, sizes
        self.memo: dict[tuple[Expr, tuple[Letter, ...], bool], Array] = {}

    def at(self, e: Expr, axes: tuple[Letter, ...], guarded: bool) -> Array:
        found = self.memo.get((e, axes, guarded))
        if found is None:
            with np.errstate(all="ignore"):
                found = self.memo[e, axes, guarded] = np.asarray(self.compute(e, axes, guarded))
        return found

    def compute(self, e: Expr, axes: tuple[Letter, ...], guarded: bool) -> Any:
        match e:
            case Num():
                small = e.value.denominator == 1 and abs(e.value.numerator) < 2**53
                return int(e.value) if small else float(e.value)
            case Const():
                return numeric(e)
            case Dim():
                return extent(e, self.sizes)
            case Letter():
                place = len(axes) - 1 - axes[::-1].index(e)
                shape = [1] * len(axes)
                shape[place] = -1
                return np.arange(extent(e.extent, self.sizes)).reshape(shape)
            case Access():
                return self.read(e, axes, guarded)
            case Call():
                arguments = [self.at(a, axes, guarded) for a in e.arguments]
                if e.function.name in _FUNCTIONS:
                    return _FUNCTIONS[e.function.name](*arguments)
                return self.at(e.function.expand(*e.arguments), axes, guarded)
            case Pow():
                return _power(self.at(e.base, axes, guarded), e.exponent, self.at(e.exponent, axes, guarded))
            case Mul():
                return self.product(e, axes, guarded)
            case Add():
                return sum(self.at(t, axes, guarded) for t in e.args)
            case Compare():
                left, right = self.at(e.left, axes, guarded), self.at(e.right, axes, guarded)
                return _RELATIONS[e.op](left.real, right.real).astype(np.int64)
            case Not():
                return 1 - self.at(e.args[0], axes, guarded)
            case Select():
                mask = self.at(e.mask, axes, guarded) != 0
                return np.where(mask, self.at(e.chosen, axes, True), self.at(e.other, axes, True))
            case Reduce():
                return self.reduction(e, axes, guarded)
        raise TypeError(f"cannot evaluate {type(e).__name__}")

    def read(self, e: Access, axes: tuple[Letter, ...], guarded: bool) -> Any:
        if e.tensor not in self.arrays:
            raise _MissingError(e.tensor.name)
        array = self.arrays[e.tensor]
        places = [self.at(p, axes, guarded) for p in e.places]
        for k, place in enumerate(places):
            if guarded:
                places[k] = np.clip(place, 0, array.shape[k] - 1)
            elif place.size and (place.min() < 0 or place.max() >= array.shape[k]):
                raise GradcError(f"{e}: place {e.places[k]} leaves axis {k} of {e.tensor.name}")
        return array[tuple(places)] if places else array

    def product(self, e: Mul, axes: tuple[Letter, ...], guarded: bool) -> Any:
        masks = [f for f in e.args if isinstance(f, Mask)]
        value: Any = 1
        for f in e.args:
            if not isinstance(f, Mask):
                value = value * self.at(f, axes, guarded or bool(masks))
        for m in masks:  # one mask may be what keeps the reads of another inside
            value = np.where(self.at(m, axes, guarded or len(masks) > 1) != 0, value, 0)
        return value

    def reduction(self, e: Reduce, axes: tuple[Letter, ...], guarded: bool) -> Any:
        inner = axes + e.binders
        extents = self.shape(e.binders)
        size = math.prod(self.shape(a for a in inner if a in e.body.letters))
        if size > _LARGEST and e.op == "sum" and isinstance(e.body, Mul) and len(set(inner)) == len(inner):
            return self.contraction(e.body, axes, e.binders, guarded)
        body = self.at(e.body, inner, guarded)
        outer = body.shape[: len(axes)] if body.ndim else (1,) * len(axes)
        if e.op in MATRIX_FUNCTIONS:
            return self.of_matrix(e, np.broadcast_to(body, outer + extents), axes, guarded)
        body = np.broadcast_to(body, outer + extents).reshape((*outer, -1))
        if e.op in _REDUCTIONS:
            return _REDUCTIONS[e.op](body, axis=-1)
        first = np.argmax(body.real, axis=-1) if e.op in ("max", "argmax") else np.argmin(body.real, axis=-1)
        return first if e.op.startswith("arg") else np.take_along_axis(body, first[..., None], -1)[..., 0]

    def of_matrix(self, e: Reduce, matrices: Array, axes: tuple[Letter, ...], guarded: bool) -> Any:
        """A function of each matrix; where that is a matrix again, its element at the places."""
        found = value_of(e.op, matrices.astype(np.result_type(matrices, float)))
        if not isinstance(e, MatrixCall):
            return found
        outer = found.shape[: len(axes)]
        grid = np.ogrid[tuple(slice(n) for n in outer)] if outer else ()
        return found[(*grid, *(self.at(p, axes, guarded) for p in e.places))]

    def contraction(self, e: Mul, axes: tuple[Letter, ...], binders: tuple[Letter, ...], guarded: bool) -> Any:
        """The sum of a product, each factor over its own letters; no number where one that is not finite is added."""
        inner = axes + binders
        guarded = guarded or any(isinstance(f, Mask) for f in e.args)
        places = [[k for k, a in enumerate(inner) if a in f.letters] for f in e.args]
        values = [
            np.broadcast_to(self.at(f, tuple(inner[k] for k in at), guarded), self.shape(inner[k] for k in at))
            for f, at in zip(e.args, places, strict=True)
        ]
        out = [k for k, a in enumerate(axes) if a in e.letters]
        absent = math.prod(self.shape(b for b in binders if b not in e.letters))

        def summed(factors: Iterable[Array]) -> Array:
            operands = [x for pair in zip(factors, places, strict=True) for x in pair]
            return np.asarray(absent * np.einsum(*operands, out, optimize=("greedy", 1000 * _LARGEST)))

        wild = [~np.isfinite(v) for v in values]
        value = summed(np.where(w, 0, v) for v, w in zip(values, wild, strict=True))
        for w in wild:  # a mask that is 0 keeps it out
            if np.any(w):
                met = [v if isinstance(f, Mask) else np.ones(v.shape) for f, v in zip(e.args, values, strict=True)]
                met = [w.astype(float) if x is w else m for x, m in zip(wild, met, strict=True)]
                value = np.where(summed(met) != 0, np.nan, value)
        return np.expand_dims(value, [k for k in range(len(axes)) if k not in out])

    def shape(self, letters: Iterable[Letter]) -> tuple[int, ...]:
        return tuple(extent(a.extent, self.sizes) for a in letters)


def _power(base: Array, exponent: Expr, value: Array) -> Any:
    if isinstance(exponent, Num):
        if exponent.value.denominator == 1:
            n = int(exponent.value)
            return base**n if n >= 0 else 1 / base ** (-n)
        if exponent.value.denominator == 2:
            return np.sqrt(base + 0.0) ** int(exponent.value.numerator)
    return np.power(base + 0.0, value)
