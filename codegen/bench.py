"""How fast the emitted code is on this machine: a step against its own matrix products alone and a measured peak.

In: what a module is made from, and a size of the batch. Out: a `Benchmark` that prints as a table. Everything takes
turns, round by round, so that what slows the machine slows all; medians are told, and their ratios.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

import derive
from codegen.compiler import load_source, text_of
from codegen.explain import Explanation, main_function
from codegen.kernels import SHARES
from codegen.prepared import Prepared, prepared
from codegen.steps import Gemm, Rounds, Step
from derive import promises
from derive.errors import GradcError
from derive.evaluate import extent
from derive.points import sample
from derive.program import Program

_PEAK = (48, 256, 48)  # a product whose operands lie in the first cache
_PRODUCT = "dims d = 3\nbatch n\ninput A : [n, d]\nparam B : [d, d]\nminimize sum((A @ B)^2)\n"
"""A model whose module has the kernel of products, as any other with a product has."""
_LEAST = 2e-3  # seconds that one measurement takes at least
_NUMBERS = 1 << 22  # of data in an epoch at most, where the model is trained

Multiply = Callable[[int, int, int, bool, bool], Callable[[int], Any]]


@dataclass(frozen=True)
class Timed:
    """One thing that was timed: its operations, and the seconds of every round."""

    name: str
    operations: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds, of all rounds."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.median


@dataclass(frozen=True)
class Benchmark:
    """A step, its products one by one, and the peak; ``title`` says of what."""

    title: str
    step: Timed
    products: tuple[Timed, ...]
    peak: Timed

    @property
    def fraction(self) -> float:
        """Which part of the measured peak the whole step reaches."""
        return self.step.rate / self.peak.rate

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        yield ""
        rows = [self.step]
        if self.products:
            seconds = zip(*(p.seconds for p in self.products), strict=True)
            together = tuple(sum(s) for s in seconds)
            rows.append(Timed("its matrix products alone", sum(p.operations for p in self.products), together))
        rows += [Timed(f"  {p.name}", p.operations, p.seconds) for p in self.products]
        width = max(len(r.name) for r in rows)
        for r in rows:
            yield (
                f"{r.name:<{width}}  {1e6 * r.median:>10.2f} µs  {r.rate / 1e9:>7.1f} Gop/s  "
                f"{100 * r.rate / self.peak.rate:>4.0f} % of the peak"
            )
        yield ""
        yield f"peak of one core, measured with a product in the first cache: {self.peak.rate / 1e9:.1f} Gop/s"


def bench(p: Prepared, batch: int = 128, rounds: int = 15, seed: int = 0) -> Benchmark:
    """Build the module, draw data that keep the model's promises, and time it.

    Where the model names an optimizer, a step is one of `fit`, on mini-batches in order; otherwise it is a call of
    `loss_and_grad`, with its checks. Raises where the model has no objective to be trained.
    """
    if p.target.name != "numba":
        raise GradcError("the target numba is timed; its peak and its products are what others are compared with")
    role, function, sizes = main_function(p, batch)
    if role != "step":
        raise GradcError(
            f"{p.program.name or 'the model'} has no gradient to be timed: it needs minimize and parameters"
        )
    module = load_source(text_of(p))
    told = Explanation(function, sizes, module.DTYPE.itemsize)
    operations = sum(row.operations for row in told.rows(function.plan.steps))
    call, steps, what = _step(module, p.program, sizes, batch, seed)
    tasks: list[tuple[str, int, Callable[[int], Any], int]] = [(f"a step ({what})", operations, call, steps)]
    multiply = _multiplied(p.dtype)
    tasks += [(*made, 1) for made in _products(multiply, told, function.steps)]
    tasks.append(("peak", *_peak(multiply), 1))
    found = _in_turns([(run, steps) for _, _, run, steps in tasks], rounds)
    timed = [Timed(name, count, times) for (name, count, _, _), times in zip(tasks, found, strict=True)]
    size = f", {p.program.batch.name} = {batch}" if p.program.batch else ""
    return Benchmark(f"{p.program.name or 'model'}, {p.dtype}{size}", timed[0], tuple(timed[1:-1]), timed[-1])


def _step(
    module: ModuleType, program: Program, sizes: dict[str, int], batch: int, seed: int
) -> tuple[Callable[[int], Any], int, str]:
    """What runs steps so many times over, how many steps it runs each time, and its name."""
    rng = np.random.default_rng(seed)
    trains = hasattr(module, "fit") and program.batch is not None
    batches = 1
    if trains and program.batch is not None:
        samples = sum(math.prod(extent(a, sizes) for a in t.axes) for t in program.data)
        batches = max(4, min(100, _NUMBERS // samples))
        sizes = sizes | {program.batch.name: batch * batches}
    data: dict[str, NDArray[Any]] = {}
    for t in program.data:
        drawn = sample(program, t, sizes, rng) if t.kind == "noise" else promises.draw(t, sizes, rng)
        data[t.name] = np.ascontiguousarray(drawn, np.int64 if t.dtype == "int" else module.DTYPE)
    params = module.init_params(seed)
    if not trains:

        def once(times: int) -> None:
            for _ in range(times):
                module.loss_and_grad(params, **data)

        return once, 1, "loss_and_grad"
    given = {t.name: data[t.name] for t in program.data if t.kind != "noise"}
    start = {k: a.copy() for k, a in params.items()}

    def epochs(times: int) -> None:
        for k, a in start.items():  # so that no round trains further than another one, perhaps out of range
            params[k][...] = a
        module.fit(params, given, epochs=times, batch_size=batch, shuffle=False)

    return epochs, batches, "of fit"


def _products(multiply: Multiply, told: Explanation, steps: Sequence[Step]) -> Iterator[tuple[str, int, Any]]:
    """Every product of two matrices in the plan: its name, its operations, and what runs it so many times."""
    for step in steps:
        if isinstance(step, Rounds):
            first, last = (extent(e, told.sizes) for e in step.range)
            inner = [s for block in step.blocks for s in block.items]
            for name, operations, run in _products(multiply, told, inner):
                yield name, operations * (last - first), _often(run, last - first)
        elif isinstance(step, Gemm) and len(step.left.groups) == len(step.right.groups) == 2:
            (m, k), (_, n) = told.extents(step.left, row=True), told.extents(step.right, row=False)
            turned = step.left.transposed, step.right.transposed
            left, right = (f"{o.tensor.name}{'ᵀ' * o.transposed}" for o in (step.left, step.right))
            yield f"{left} {right}: {m} × {k} by {k} × {n}", 2 * m * k * n, multiply(m, k, n, *turned)


def _often(run: Callable[[int], Any], count: int) -> Callable[[int], Any]:
    return lambda times: run(times * count)


def peak(dtype: str) -> tuple[int, Callable[[int], Any]]:
    """The operations of a product whose operands lie in the first cache, and what runs it so many times on one core.

    Hardly any code has more of them a second: what is missing is what the loops around them take.

    >>> operations, run = peak("float32")
    >>> operations
    1179648
    >>> run(3)
    """
    return _peak(_multiplied(dtype))


def operations_of_products(p: Prepared, batch: int) -> int:
    """How many operations of a call of the main function are those of matrix products, with windows and vectors too.

    >>> text = "dims d = 3", "batch n", "input X : [n, d]", "param w : [d]", "minimize sum((X @ w)^2)"
    >>> operations_of_products(prepared(derive.parse(chr(10).join(text))), 5)  # X w, and Xᵀ times its slope
    60
    """
    _, function, sizes = main_function(p, batch)
    rows = Explanation(function, sizes, 1).rows(function.plan.steps)
    return sum(row.operations for row in rows if "product" in row.kernel)


def _peak(multiply: Multiply) -> tuple[int, Callable[[int], Any]]:
    return 2 * math.prod(_PEAK), multiply(*_PEAK, False, False)


def _multiplied(precision: str) -> Multiply:
    """What makes, of sizes and which operand is transposed, something that multiplies so many times."""
    kernels = load_source(text_of(prepared(derive.parse(_PRODUCT), dtype=precision)))
    kernel, dtype = kernels._matmul, kernels.DTYPE

    @njit
    def repeated(a: Any, b: Any, c: Any, strip: Any, times: int) -> None:
        for _ in range(times):
            kernel(a, b, c, strip)

    def multiply(m: int, k: int, n: int, left: bool, right: bool) -> Callable[[int], Any]:
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        a, b = (np.asfortranarray(x) if turned else x for x, turned in ((a, left), (b, right)))
        c, strip = np.empty((m, n), dtype), np.empty(SHARES * kernels._STRIP * k, dtype)
        return lambda times: repeated(a, b, c, strip, times)

    return multiply


def _in_turns(tasks: Sequence[tuple[Callable[[int], Any], int]], rounds: int) -> list[tuple[float, ...]]:
    """Seconds of one step of each, in every round; each runs often enough to be measured."""
    often = []
    for run, steps in tasks:
        run(1)
        began = time.perf_counter()
        run(1)
        often.append((run, steps, max(1, int(_LEAST / (time.perf_counter() - began)))))
    found: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for (run, steps, times), seconds in zip(often, found, strict=True):
            began = time.perf_counter()
            run(times)
            seconds.append((time.perf_counter() - began) / (times * steps))
    return [tuple(s) for s in found]
