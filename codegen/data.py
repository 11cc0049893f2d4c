"""Data for a model: raw arrays in, arrays by the model's names and in the model's layout out.

Samples lie along the batch axis, wherever the model has it. Class numbers become one-hot arrays where the target
promises `one_hot`; extents without a size are read off the data; every promise is checked here, where data enter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import sources
from codegen.sources import Source
from derive import promises
from derive.errors import GradcError, SourceError
from derive.evaluate import extent
from derive.expr import Dim, Expr, Num
from derive.program import Program, Tensor, needed, reads

Array = NDArray[Any]


@dataclass(frozen=True)
class Data:
    """Arrays by name; ``axes`` tells along which axis the samples of each lie, ``sizes`` what extents were found."""

    arrays: dict[str, Array]
    axes: dict[str, int | None]
    sizes: dict[str, int]
    count: int

    def take(self, places: Array) -> Data:
        """The samples at these places, in their order."""
        arrays = {
            name: a if (axis := self.axes[name]) is None else np.ascontiguousarray(np.take(a, places, axis))
            for name, a in self.arrays.items()
        }
        return replace(self, arrays=arrays, count=len(places))

    def split(self, holdout: float, seed: int = 0) -> tuple[Data, Data | None]:
        """What to train on and what to hold out: a seeded draw of a part ``holdout`` of the samples."""
        if not 0 <= holdout < 1:
            raise GradcError(f"a part of {holdout:g} cannot be held out: give a number from 0 to below 1")
        held = round(holdout * self.count)
        if not held:
            return self, None
        if held == self.count:
            raise GradcError(f"holding out {holdout:g} of {self.count} samples leaves none to train on")
        order = np.random.default_rng(seed).permutation(self.count)
        return self.take(order[held:]), self.take(order[:held])


def load(name: str, program: Program, *, targets: Sequence[str] = (), sizes: Mapping[str, int] | None = None) -> Data:
    """The data that ``name`` names (a `.npz` or `.csv` file, or a set of scikit-learn's) as ``program`` wants them.

    ``targets`` are the columns of a `.csv` that form the target; ``sizes`` replace the defaults of dims.
    """
    return arrange(sources.read(name, [t.name for t in _wanted(program)], targets), program, sizes)


def arrange(source: Source, program: Program, sizes: Mapping[str, int] | None = None) -> Data:
    """The arrays of ``source`` under the model's names, in the model's layout, with every promise checked.

    Arrays of a `.npz` stand either all as the model has them, or all with the samples first.
    """
    wanted = _wanted(program)
    raw = _assign(source, wanted)
    known = {d.name: d.default for d in program.dims if d.derived is None and d.default is not None}
    known.update(sizes or {})
    failure: SourceError | None = None
    for sample_first in (True,) if source.sample_first else (False, True):
        layout = _Layout(program, dict(known), sample_first)
        try:
            arrays = {t.name: layout.place(t, raw[t]) for t in wanted}
        except SourceError as e:
            failure = failure or e
            continue
        for t in wanted:
            promises.check(t, arrays[t.name], layout.sizes)
        axes = {t.name: layout.batch_axis(t) for t in wanted}
        count = layout.sizes.pop(program.batch.name, 1) if program.batch else 1
        return Data(arrays, axes, layout.sizes, count)
    assert failure is not None
    raise failure


def names_for(program: Program, wanted: Iterable[Tensor]) -> list[str]:
    """The inputs and targets that ``wanted`` rest on: what a module's function for them takes."""
    roots = list(wanted)
    read = {t for e in needed(program, roots) for t in reads(e.body)} | set(roots)
    return [t.name for t in _wanted(program) if t in read]


def _wanted(program: Program) -> list[Tensor]:
    return [t for t in program.declared if t.kind in ("input", "target")]


def _assign(source: Source, wanted: list[Tensor]) -> dict[Tensor, Array]:
    """Which raw array is which tensor's: by name, then by what is left over on both sides."""
    free = dict(source.arrays)
    found: dict[Tensor, Array] = {t: free.pop(t.name) for t in wanted if t.name in free}
    for t in wanted:
        alike = [key for key in free if key.casefold() == t.name.casefold()]
        if t not in found and len(alike) == 1:
            found[t] = free.pop(alike[0])
    for kind, array in (("input", source.features), ("target", source.targets)):
        missing = [t for t in wanted if t.kind == kind and t not in found]
        if array is not None and len(missing) == 1:
            found[missing[0]] = array
    missing = [t for t in wanted if t not in found]
    if len(missing) == 1 and len(free) == 1:
        found[missing[0]] = free.popitem()[1]
    if missing := [t for t in wanted if t not in found]:
        names = ", ".join(t.name for t in missing)
        hint = "say which columns are the target: --target COLUMN" if source.sample_first else _held(source)
        raise SourceError(f"{source.name} holds nothing for {names}", missing[0].span, hint=hint)
    return found


def _held(source: Source) -> str:
    return f"the file holds {', '.join(f'{k} {a.shape}' for k, a in source.arrays.items()) or 'no arrays'}"


class _Layout:
    """Arrays brought to the model's axes; ``sizes`` grows by what their shapes tell."""

    def __init__(self, program: Program, sizes: dict[str, int], sample_first: bool) -> None:
        self.batch, self.sizes, self.sample_first = program.batch, sizes, sample_first

    def batch_axis(self, t: Tensor) -> int | None:
        return t.axes.index(self.batch) if self.batch is not None and self.batch in t.axes else None

    def place(self, t: Tensor, array: Array) -> Array:
        """``array`` in the layout of ``t``, class numbers made one-hot (or read off a one-hot array)."""
        one_hot = t.property("one_hot")
        if one_hot is not None and one_hot.axis is not None:
            column = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
            if column.ndim == t.rank - 1:
                return self.classes(t, column, one_hot.axis)
        if t.property("labels") is not None and array.ndim == t.rank + 1 and set(np.unique(array)) <= {0, 1}:
            array = np.argmax(array, axis=-1)
        placed = self.lay_out(t, t.axes, array)
        if t.dtype != "int":
            return placed.astype(np.float64)
        if placed.size and not np.array_equal(placed, np.rint(placed)):
            raise SourceError(f"{t.name} must hold integers", t.span)
        return placed.astype(np.int64)

    def classes(self, t: Tensor, array: Array, axis: int) -> Array:
        numbers = self.lay_out(t, t.axes[:axis] + t.axes[axis + 1 :], array)
        if numbers.size and (not np.array_equal(numbers, np.rint(numbers)) or numbers.min() < 0):
            raise SourceError(f"{t.name}: class numbers must be integers from 0", t.span)
        largest = int(numbers.max(initial=0))
        if isinstance(c := t.axes[axis], Dim):
            self.sizes.setdefault(c.name, largest + 1)
        count = extent(c, self.sizes)
        if largest >= count:
            raise SourceError(f"{t.name}: class {largest} occurs, and there are {count} classes", t.span)
        return np.moveaxis((numbers[..., None] == np.arange(count)).astype(np.float64), -1, axis)

    def lay_out(self, t: Tensor, axes: tuple[Expr, ...], array: Array) -> Array:
        """``array`` over ``axes``, the batch axis moved to its place; sizes that were unknown become known."""
        where = axes.index(self.batch) if self.batch is not None and self.batch in axes else None
        inner = [size for a in axes if a != self.batch if (size := self.known(a)) is not None]
        if self.sample_first and where is not None and array.ndim:
            if len(inner) == len(axes) - 1 and array[:1].size == math.prod(inner):
                array = array.reshape(len(array), *inner)
            if array.ndim == len(axes):
                array = np.moveaxis(array, 0, where)
        if array.ndim != len(axes):
            raise self.misfit(t, axes, array, None)
        for axis, size in zip(axes, array.shape, strict=True):
            if self.known(axis) is None and isinstance(axis, Dim):
                self.sizes[axis.name] = size
            if self.known(axis) not in (None, size):
                raise self.misfit(t, axes, array, (axis, size))
        return array

    def known(self, axis: Expr) -> int | None:
        try:
            return extent(axis, self.sizes)
        except GradcError:
            return None

    def misfit(self, t: Tensor, axes: tuple[Expr, ...], array: Array, pair: tuple[Expr, int] | None) -> SourceError:
        plain = [a == self.batch or isinstance(a, Num) or self.known(a) is None for a in axes]
        sizes = [str(a) if p else f"{a} = {self.known(a)}" for a, p in zip(axes, plain, strict=True)]
        hint = None
        if pair is not None and isinstance(pair[0], Dim) and pair[0] != self.batch:
            hint = f"build for this data: --size {pair[0]}={pair[1]}"
        return SourceError(f"{t.name} wants [{', '.join(sizes)}], the data have shape {array.shape}", t.span, hint=hint)
