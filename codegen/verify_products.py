"""The check of Hessian products: those of an emitted module against complex steps of the gradient of the definition.

In: a model. Out: a `CheckResult`, two rows for each parameter. What is stepped is the raw answer of the chain rule,
evaluated by definition, so that neither simplification nor emission stands on both sides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import derive
from codegen.compiler import build, load_source
from codegen.verify import COMPLEX_STEP, SINGLE, CheckResult, Row
from derive import pipeline
from derive.errors import GradcError
from derive.evaluate import evaluate
from derive.points import Point, points, small_sizes
from derive.program import Program

Array = NDArray[Any]
_POINTS, _STEP = 3, 1e-30


def check_products(
    model: derive.Differentiable,
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    *,
    seed: int = 0,
    target: str = "numba",
) -> CheckResult:
    """Emit ``model`` with Hessian products in both precisions and check them along random directions."""
    model, left = model.sized(sizes or {})
    program = model.program
    if program.objective is None or not program.trained:
        raise GradcError(f"{program.name} has no objective with parameters: there is no Hessian to check")
    chosen = small_sizes(program, left)
    built = {d.name: chosen[d.name] for d in program.dims if d.derived is None}
    emitted = program
    if model.repeated is not None and not model.repeated.scheme.widths:
        emitted = model.repeated.stacked or emitted
    double, single = (
        load_source(build(emitted, dtype=dtype, target=target, sizes=built, products=True))
        for dtype in ("float64", "float32")
    )
    slope = pipeline.gradient(program, program.trained)
    names = {t.name: bar.name for t, bar in slope.raw.gradients}

    def sizes_of(point: Point) -> float:
        """What errors are measured against, besides the products: the loss and the largest entry of its gradient."""
        params, inputs = _arguments(program, point)
        loss, gradients = double.loss_and_grad(params, **inputs)
        return max(abs(float(loss)), *(float(np.abs(g).max(initial=0.0)) for g in gradients.values()))

    rows: dict[tuple[str, str], Row] = {}
    r = np.random.default_rng(seed)
    for point in itertools.islice(points(program, chosen, seed, lambda p: math.isfinite(sizes_of(p))), _POINTS):
        along = {t.name: np.asarray(r.normal(size=point[t.name].shape)) for t in program.trained}
        moved = {**point, **{name: point[name] + _STEP * 1j * v for name, v in along.items()}}
        stepped = evaluate(slope.raw, moved, chosen)
        exact = {name: np.asarray(stepped[bar]).imag / _STEP for name, bar in names.items()}
        narrow, wide = (_in(dtype, {**point, **{f"{_ALONG}{k}": v for k, v in along.items()}}) for dtype in "fd")
        for method, found, want in (
            (COMPLEX_STEP, _products(program, double, point, along), exact),
            (SINGLE, _products(program, single, *narrow), _products(program, double, *wide)),
        ):
            scale = max(sizes_of(point), *(float(np.abs(a).max(initial=0.0)) for a in want.values()))
            for name, a in want.items():
                key = name, method
                row = rows.get(key, Row(f"{name} along v", a.shape, method, 0.0, (), 0.0, 0.0, _MEANING))
                rows[key] = _worst(row, np.asarray(found[name]), a, scale)
    if not rows:
        raise GradcError(f"the loss of {program.name} is not a number at any random point that was tried")
    return CheckResult(f"{program.name} along random directions", tuple(rows.values()), dict(chosen))


_ALONG = "along "
_MEANING = "the derivative of the gradient along a direction in all parameters"


def _arguments(program: Program, point: Point) -> tuple[Point, Point]:
    params = {t.name: point[t.name] for t in (*program.parameters, *program.states)}
    return params, {t.name: point[t.name] for t in program.data}


def _in(kind: str, point: Point) -> tuple[Point, Point]:
    """A point and a direction that single precision can hold, in single or double precision."""
    single = {k: a.astype("f").astype(kind) if a.dtype.kind == "f" else a for k, a in point.items()}
    along = {k.removeprefix(_ALONG): a for k, a in single.items() if k.startswith(_ALONG)}
    return {k: a for k, a in single.items() if not k.startswith(_ALONG)}, along


def _products(program: Program, net: Any, point: Point, along: Point) -> dict[str, Array]:
    params, inputs = _arguments(program, point)
    still = {name: np.zeros_like(a) for name, a in params.items() if name not in along}
    found: dict[str, Array] = net.hvp(params, {**along, **still}, **inputs)
    return found


def _worst(row: Row, found: Array, want: Array, scale: float) -> Row:
    size = np.maximum(np.maximum(np.abs(found), np.abs(want)), 1e-3 * scale)
    error = np.abs(found - want) / np.where(size > 0, size, 1.0)
    place = np.unravel_index(int(np.argmax(error)), error.shape) if error.size else ()
    if not error.size or error[place] <= row.error:
        return row
    index = tuple(int(k) for k in place)
    return replace(row, error=float(error[place]), index=index, expected=float(want[place]), found=float(found[place]))
