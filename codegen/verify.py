"""The check: every gradient of an emitted module against numerical gradients of the model.

In: a model. Out: a `CheckResult`, a row for each variable and method. Central differences take the emitted loss,
complex steps the definition itself (the oracle of `derive.evaluate`), float32 is held against float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

import derive
from codegen.compiler import build, load_source
from derive.errors import GradcError
from derive.evaluate import evaluate, find_sizes
from derive.notation.notebook import html_table, latex_table
from derive.points import Point, points, small_sizes
from derive.program import Program
from derive.slopes import slope

Array = NDArray[Any]
Place = tuple[int, ...]
Measured = tuple[Array, Array, float]  # what the module gives, what is right (NaN: not known), the scale of errors

DIFFERENCES, COMPLEX_STEP, SINGLE = "differences", "complex step", "float32"
TOLERANCES = {DIFFERENCES: 1e-7, COMPLEX_STEP: 1e-12, SINGLE: 1e-4}
_POINTS = 3  # how many random points are checked
_MORE = 10  # and how many at most, while the difference quotients of some entry meet a kink
_ENTRIES = 300  # about how many entries of a large array are checked
_HEAD = ("parameter", "shape", "max rel. error", "method", "verdict")
_STEP = 1e-4


@dataclass(frozen=True)
class Row:
    """One variable under one method: its worst entry, or how many entries had no smooth point."""

    name: str
    shape: tuple[int, ...]
    method: str
    error: float
    index: tuple[int, ...]
    expected: float
    found: float
    formula: str
    unsettled: int = 0

    @property
    def ok(self) -> bool:
        """Whether every entry agrees within the method's tolerance."""
        return self.unsettled == 0 and self.error <= TOLERANCES[self.method]

    def explain(self) -> str:
        """What is wrong, where, and under which formula."""
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        if self.unsettled:
            return f"d{self.name}: {self.unsettled} entries have a kink at every point tried"
        return (
            f"d{self.name}{place}: the module gives {self.found:.9g}, {self.method} {self.expected:.9g} "
            f"(relative error {self.error:.1e}, allowed {TOLERANCES[self.method]:.0e})\n    {self.formula}"
        )


@dataclass(frozen=True, repr=False)
class CheckResult:
    """The rows of a check and the sizes at which it was done."""

    model: str
    rows: tuple[Row, ...]
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees by every method."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def __str__(self) -> str:
        head, body = _HEAD, self._cells()
        widths = [max(len(line[k]) for line in (head, *body)) for k in range(len(head))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in (head, *body)]
        lines.insert(1, "  ".join("─" * w for w in widths))
        return "\n".join([self._title(), *lines, *(row.explain() for row in self.rows if not row.ok)])

    def _repr_html_(self) -> str:
        failed = [f"<pre>{escape(row.explain())}</pre>" for row in self.rows if not row.ok]
        return "\n".join([f"<p>{escape(self._title())}</p>", html_table(_HEAD, self._cells()), *failed])

    def _repr_latex_(self) -> str:
        return latex_table(_HEAD, self._cells())

    __repr__ = __str__

    def _title(self) -> str:
        sizes = ", ".join(f"{k} = {v}" for k, v in self.sizes.items())
        return f"gradients of {self.model}" + (f" at {sizes}" if sizes else "")

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (r.name, "×".join(map(str, r.shape)) or "scalar", f"{r.error:.1e}", r.method, "ok" if r.ok else "FAILED")
            for r in self.rows
        ]


@dataclass(frozen=True)
class _Trial:
    """What is checked: a program, its module in both precisions, random points, and the sizes they have."""

    program: Program
    double: Any
    single: Any
    points: tuple[Point, ...]
    sizes: Mapping[str, int]


def check(
    model: derive.Differentiable,
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    seed: int = 0,
    target: str = "numba",
) -> CheckResult:
    """Emit ``model`` in both precisions and check every gradient; ``wrt`` names the variables (all parameters).

    Dims without a given size get small distinct primes, so that no transposition hides behind a square; where there
    are many of them, small distinct numbers, and the batch is 3 (see `derive.points.small_sizes`).
    """
    model, left = model.sized(sizes or {})
    program = model.program
    if program.objective is None:
        raise GradcError(f"{program.name} minimizes nothing: there is no gradient to check")
    if not wrt and not program.trained:
        raise GradcError(f"{program.name} has no parameters: name what to check, as in --wrt x")
    chosen = small_sizes(program, left)
    built = {d.name: chosen[d.name] for d in program.dims if d.derived is None}
    names = list(wrt) if wrt is not None else [t.name for t in program.trained]
    gradient = model.gradient(*names)
    emitted = gradient.derivation.stable
    if model.repeated is not None and wrt is None and not model.repeated.scheme.widths:
        emitted = model.repeated.stacked or emitted  # as a build has it; other widths may be alike there
    double, single = (
        load_source(build(emitted, dtype=dtype, target=target, sizes=built)) for dtype in ("float64", "float32")
    )
    return compare(program, double, single, formulas={n: str(gradient[n]) for n in names}, sizes=chosen, seed=seed)


def compare(
    program: Program, double: Any, single: Any, *, formulas: Mapping[str, str], sizes: Mapping[str, int], seed: int = 0
) -> CheckResult:
    """Check two emitted modules of ``program``; the variables are the keys of ``formulas``."""
    found = points(program, sizes, seed, lambda point: math.isfinite(_loss(program, double, point)))
    trial = _Trial(program, double, single, tuple(itertools.islice(found, _MORE)), sizes)
    if not trial.points:
        raise GradcError(f"the loss of {program.name} is not a number at any random point that was tried")
    rows = [_row(trial, name, method, formula) for name, formula in formulas.items() for method in _METHODS]
    return CheckResult(program.name, tuple(rows), dict(sizes))


def _arguments(program: Program, point: Point) -> tuple[Point, Point]:
    params = {t.name: point[t.name] for t in (*program.parameters, *program.states)}
    return params, {t.name: point[t.name] for t in program.data}


def _loss(program: Program, net: Any, point: Point) -> float:
    params, inputs = _arguments(program, point)
    return float(net.loss(params, **inputs))


def _gradient(program: Program, net: Any, point: Point, name: str) -> tuple[Array, float]:
    """The emitted gradient and what its entries are measured against: the loss and the largest gradient."""
    params, inputs = _arguments(program, point)
    loss, gradients = net.loss_and_grad(params, **inputs)
    found = [abs(float(loss)), *(float(np.max(np.abs(g), initial=0.0)) for g in gradients.values())]
    return np.array(gradients[name], dtype=np.float64), max(found)


def _places(shape: tuple[int, ...]) -> Iterator[Place]:
    """The places that are checked: all of a small array, an even choice of a large one."""
    count = math.prod(shape)
    for k in range(0, count, max(1, count // _ENTRIES)):
        yield tuple(int(i) for i in np.unravel_index(k, shape))


def _differences(trial: _Trial, name: str, point: Point, places: list[Place]) -> Measured:
    """Central differences of the emitted loss, extrapolated twice over halved steps.

    Where both extrapolations differ a kink lies between the steps: nothing is said of that entry here.
    """
    found, scale = _gradient(trial.program, trial.double, point, name)
    expected = np.full(found.shape, np.nan)
    for place in places:

        def loss(x: float, place: Place = place) -> float:
            return _loss(trial.program, trial.double, _moved(point, name, place, x))

        coarse, fine = _quotients(loss, float(point[name][place]))
        if abs(fine - coarse) <= 1e-8 * max(abs(fine), scale):
            expected[place] = fine
    return found, expected, scale


def _quotients(loss: Callable[[float], float], x: float) -> tuple[float, float]:
    """Two estimates of fourth order of the derivative at ``x``, the second from halved steps."""
    h = _STEP * max(1.0, abs(x))
    first, second, third = ((loss(x + s) - loss(x - s)) / (2 * s) for s in (h, h / 2, h / 4))
    return (4 * second - first) / 3, (4 * third - second) / 3


def _complex_steps(trial: _Trial, name: str, point: Point, places: list[Place]) -> Measured:
    """The imaginary part of the definition at a tiny imaginary step: exact to rounding, as nothing is subtracted."""
    program = trial.program
    found, scale = _gradient(program, trial.double, point, name)
    values = evaluate(program, point, trial.sizes)
    arrays = {t: values[t.name] for t in program.tensors if t.name in values}
    [moved] = [t for t in program.declared if t.name == name]
    assert program.objective is not None
    entries = [int(np.ravel_multi_index(place, found.shape)) for place in places]
    slopes = slope(
        program.equations, program.objective, moved, arrays, find_sizes(program, arrays, trial.sizes), entries
    )
    expected = np.full(found.shape, np.nan)
    for place, value in zip(places, slopes.reshape(-1, len(places)).sum(axis=0), strict=True):
        expected[place] = value
    return found, expected, scale


def _float32(trial: _Trial, name: str, point: Point, places: list[Place]) -> Measured:
    """The float32 module against the float64 one, at a point that both can hold."""
    narrow = {k: a.astype(np.float32) if a.dtype.kind == "f" else a for k, a in point.items()}
    wide = {k: a.astype(np.float64) if a.dtype.kind == "f" else a for k, a in narrow.items()}
    found, _ = _gradient(trial.program, trial.single, narrow, name)
    expected, scale = _gradient(trial.program, trial.double, wide, name)
    return found, expected, scale


_METHODS: dict[str, Callable[[_Trial, str, Point, list[Place]], Measured]] = {
    DIFFERENCES: _differences,
    COMPLEX_STEP: _complex_steps,
    SINGLE: _float32,
}


def _moved(point: Point, name: str, place: Place, value: complex) -> Point:
    array = np.array(point[name], dtype=np.result_type(point[name], type(value)))
    array[place] = value
    return {**point, name: array}


def _row(trial: _Trial, name: str, method: str, formula: str) -> Row:
    """The worst entry over some points, and over more of them while an entry has not had its turn.

    One point would not do: a unit that is off there has a gradient of 0 whatever the formula.
    """
    shape = trial.points[0][name].shape
    places = list(_places(shape))
    waiting, worst = set(places), Row(name, shape, method, 0.0, (), 0.0, 0.0, formula)
    for k, point in enumerate(trial.points):
        if k >= _POINTS and not waiting:
            break
        found, expected, scale = _METHODS[method](trial, name, point, places)
        for place in places:
            e, f = float(expected[place]), float(found[place])
            if math.isnan(e):
                continue
            waiting.discard(place)
            size = max(abs(e), abs(f), 1e-3 * scale)
            error = abs(f - e) / size if size else 0.0
            if not error <= worst.error:
                worst = replace(worst, error=error, index=place, expected=e, found=f)
    return replace(worst, unsettled=len(waiting))
