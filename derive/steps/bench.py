"""Where steps are put to the test: a random point, the value of everything there, and derivatives by numbers alone.

In: a derivation. Out: a `Bench` that evaluates sides, differentiates equations by complex steps (exact to rounding, as
nothing is subtracted) and refuses a step that does not hold.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.errors import GradcError
from derive.evaluate import evaluate, evaluate_expr, extent, find_sizes, run
from derive.expr import Call, Expr, Letter
from derive.form_values import evaluate_form
from derive.forms import Form, Prime, walk
from derive.pipeline import Derivation
from derive.points import Point, points, small_sizes
from derive.program import Equation, Tensor, reads
from derive.slopes import TINY, slope
from derive.steps.edges import Edge
from derive.steps.step import RowColumn, Side, Slice, Step, StepError, Written

Array = NDArray[np.float64]

_TOLERANCE = 1e-8


class Bench:
    """All tensors of a derivation at one random point, over distinct small extents."""

    def __init__(self, derivation: Derivation, seed: int = 0) -> None:
        source, raw = derivation.source, derivation.raw
        self.sizes = find_sizes(source, {}, small_sizes(source, {}))

        def good(point: Point) -> bool:
            return all(np.all(np.isfinite(a)) for a in evaluate(raw, point, self.sizes).values())

        point = next(points(source, self.sizes, seed, good), None)
        if point is None:
            raise GradcError(f"{source.name} is not finite at any random point that was tried")
        values = evaluate(raw, point, self.sizes)
        self.arrays = {t: values[t.name] for t in raw.tensors if t.name in values}
        run((e for e in derivation.formulas.equations if e.out not in self.arrays), self.arrays, self.sizes)

    def measure(self, edge: Edge) -> None:
        """Give the local derivative of an edge its value, by numbers alone."""
        if edge.ratio not in self.arrays:
            self.arrays[edge.ratio] = self.partial(edge.equations, edge.out.out, edge.wrt)
            run(edge.named, self.arrays, self.sizes)

    def partial(self, equations: Iterable[Equation], out: Tensor, wrt: Tensor) -> Array:
        """∂out/∂wrt along the given equations, everything else held fixed."""
        return slope(equations, out, wrt, self.arrays, self.sizes)

    def value(self, side: Side, step: Step) -> Array:
        """A side over the letters of its step."""
        if isinstance(side, Expr):
            found = evaluate_expr(side, step.letters, self.arrays, self.sizes)
            if found is None:
                raise StepError(f"{step.rule} of {step.target}: a tensor of {side} has no value")
            return found
        form = side.product if isinstance(side, RowColumn) else side
        own = tuple(a for a in step.letters if a not in step.fixed)
        ranges = [extent(a.extent, self.sizes) for a in step.fixed]
        found = np.zeros(tuple(extent(a.extent, self.sizes) for a in step.letters))
        for chosen in itertools.product(*map(range, ranges)):
            table = dict(zip(step.fixed, chosen, strict=True))
            place = tuple(table.get(a, slice(None)) for a in step.letters)
            arrays = self._with_slices(form, table)
            if isinstance(form, Written):
                found[place] = self._written(form, arrays).reshape(found[place].shape)
                continue
            found[place] = evaluate_form(form, own, arrays, self.sizes)
            self._require_names(form, arrays, step)
        return found

    def _require_names(self, form: Form, arrays: dict[Tensor, Array], step: Step) -> None:
        """What is called f′(z) in a form has to be the derivative of f at z."""
        for node in walk(form):
            if isinstance(node, Prime) and node.function is not None and len(node.function.parameters) == 1:
                letters = tuple(a for a in (node.row, node.col) if a is not None)
                at, value = (evaluate_form(p, letters, arrays, self.sizes) for p in node.parts)
                z = Tensor("", tuple(a.extent for a in letters))
                moved = {z: at + 1j * TINY}
                found = evaluate_expr(Call(node.function, z.at(letters)), letters, moved, self.sizes)
                if found is None or not np.allclose(np.imag(found) / TINY, value, rtol=_TOLERANCE, atol=1e-11):
                    raise StepError(f"{step.rule} of {step.target} does not hold: {node.function.name}′ is another")

    def _written(self, side: Written, arrays: dict[Tensor, Array]) -> Array:
        """The product of matrices that are written out."""
        grids = [[[float(self._number(e, arrays)) for e in row] for row in m] for m in side.matrices]
        found: Array = np.eye(len(grids[0]))
        for grid in grids:
            found = found @ np.array(grid)
        return found

    def _number(self, e: Expr, arrays: dict[Tensor, Array]) -> Any:
        found = evaluate_expr(e, (), arrays, self.sizes)
        if found is None:
            raise StepError(f"a tensor of {e} has no value")
        return found

    def _with_slices(self, side: Form | Written, table: dict[Letter, int]) -> dict[Tensor, Array]:
        arrays = dict(self.arrays)
        if isinstance(side, Written):
            tensors = [t for m in side.matrices for row in m for e in row for t in reads(e)]
        else:
            tensors = [node.tensor for node in walk(side) if hasattr(node, "tensor")]
        for t in tensors:
            if isinstance(t, Slice) and t.of is not None:
                arrays[t] = self.arrays[t.of][tuple(slice(None) if f is None else table[f] for f in t.fixed)]
        return arrays

    def require(self, step: Step) -> None:
        """Refuse a step whose sides differ.

        Raises StepError: a derivation with a wrong step is never shown.
        """
        axes = [(side.row, side.col) for side in (step.before, step.after) if isinstance(side, Form)]
        if len(axes) == 2 and axes[0] != axes[1]:
            raise StepError(f"{step.rule} of {step.target} does not hold: rows and columns change places")
        before, after = self.value(step.before, step), self.value(step.after, step)
        if step.where is not None:
            holds = self.value(step.where, step) != 0
            before, after = np.where(holds, before, 0.0), np.where(holds, after, 0.0)
        scale = max(float(np.max(np.abs(a), initial=0.0)) for a in (before, after))
        off = float(np.max(np.abs(before - after), initial=0.0))
        if not (math.isfinite(scale) and off <= _TOLERANCE * max(scale, 1e-3)):
            raise StepError(f"{step.rule} of {step.target} does not hold: {step.before} is not {step.after}")
