"""Derivatives by numbers alone: every entry of one tensor is moved by a complex step, many entries in one evaluation.

In: equations and the arrays that they rest on. Out: the array of the derivative of one tensor by another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from derive.evaluate import extent, run
from derive.expr import Access, Dim, Expr, Letter, add, fresh
from derive.program import Equation, Tensor, reads
from derive.recurrence import recurring
from derive.rewrite import map_children, walk

TINY = 1e-30
_LARGEST = 10**6  # entries of the grids of one evaluation
_COUNT = Dim("∂")  # how many entries are moved at once; no model has this name


def slope(
    equations: Iterable[Equation],
    out: Tensor,
    wrt: Tensor,
    arrays: Mapping[Tensor, NDArray[np.float64]],
    sizes: Mapping[str, int],
    entries: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """∂out/∂wrt along the given equations, everything else held fixed: the axes of ``out``, then those of ``wrt``.

    Of some ``entries`` of ``wrt`` alone, numbered row by row, they are the last axis. A complex step is exact to
    rounding, as nothing is subtracted.

    >>> from derive.expr import power
    >>> i = fresh(Dim("n"))
    >>> x, y = Tensor("x", (Dim("n"),)), Tensor("y", (Dim("n"),))
    >>> slope([Equation(y, (i,), power(x.at((i,)), 2))], y, x, {x: np.array([3.0, 5.0])}, {"n": 2})
    array([[ 6.,  0.],
           [ 0., 10.]])
    """
    given, source = list(equations), wrt
    known = dict(arrays)
    if wrt in recurring(given):  # what a round changes acts on later rounds, too
        source = Tensor("", wrt.axes)
        given = [e.with_body(add(e.body, source.at(e.letters))) if e.out is wrt else e for e in given]
        known[source] = np.zeros(known[wrt].shape)
    moved = _reached(given, source)
    acting = [e for e in given if e.out in moved and e.out is not source]
    x = known[source]
    chosen = np.arange(x.size) if entries is None else np.asarray(entries)
    found = np.zeros((*(extent(a, sizes) for a in out.axes), len(chosen)))
    if out in moved:
        table = {t: Tensor(t.name, (_COUNT, *t.axes), t.kind, dtype=t.dtype) for t in moved}
        lifted = [_lifted(e, table) for e in acting]
        many = max(1, _LARGEST // max((_grid(e, sizes) for e in acting), default=1))
        for start in range(0, len(chosen), many):
            places = chosen[start : start + many]
            steps = np.repeat(x[None].astype(complex), len(places), axis=0)
            steps.reshape(len(places), -1)[np.arange(len(places)), places] += 1j * TINY
            values = {**known, table[source]: steps}
            run(lifted, values, {**sizes, _COUNT.name: len(places)})
            found[..., start : start + many] = np.moveaxis(np.imag(values[table[out]]), 0, -1) / TINY
    return found if entries is not None else found.reshape(found.shape[:-1] + x.shape)


def _reached(equations: Sequence[Equation], source: Tensor) -> set[Tensor]:
    """What depends on ``source``, itself included."""
    moved, before = {source}, 0
    while before < len(moved):
        before = len(moved)
        moved.update(e.out for e in equations if not moved.isdisjoint(reads(e.body)))
    return moved


def _lifted(equation: Equation, table: Mapping[Tensor, Tensor]) -> Equation:
    """The equation for many values of what it reads at once, along a first axis."""
    letter = fresh(_COUNT)

    def lift(e: Expr) -> Expr:
        e = map_children(e, lift)
        return table[e.tensor].at((letter, *e.places)) if isinstance(e, Access) and e.tensor in table else e

    return Equation(table[equation.out], (letter, *equation.letters), lift(equation.body))


def _grid(equation: Equation, sizes: Mapping[str, int]) -> int:
    """The number of entries over all letters of an equation."""
    bound = {n for n in walk(equation.body) if isinstance(n, Letter)}
    return math.prod(extent(a.extent, sizes) for a in bound.union(equation.letters))
