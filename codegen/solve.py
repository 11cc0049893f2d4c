"""Minimization as such: a model and all its data in, the parameters at the minimum and the way there out.

SciPy's methods run on the emitted module: its loss and gradient, for Newton's methods its Hessian product too. When
the search is done is decided here, the same for all of them: no entry of the gradient that may still move is above the
tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, OptimizeResult, minimize

import derive
from codegen.api import compile
from codegen.data import Data, names_for
from codegen.train import Measure, cast, measure
from derive.errors import GradcError
from derive.program import Program

Array = NDArray[Any]


@dataclass(frozen=True)
class Method:
    """What SciPy calls it, whether it keeps bounds and uses Hessian products, its options.

    ``tries`` is true where a step to where the loss is no number is taken back and a smaller one is tried.
    """

    scipy: str
    bounds: bool
    products: bool
    options: Mapping[str, float]
    tries: bool = False


_minimize: Any = minimize  # its types know no methods by name
_FLOOR = 10 * np.finfo(np.float64).eps
METHODS = {
    "lbfgsb": Method(
        "L-BFGS-B", True, False, {"ftol": _FLOOR, "gtol": 0.0, "maxcor": 20, "maxfun": 10**9, "maxls": 40}
    ),
    "newton": Method("Newton-CG", False, True, {"xtol": 0.0}),
    "trust-ncg": Method("trust-ncg", False, True, {"gtol": 0.0}, tries=True),
    "trust-krylov": Method("trust-krylov", False, True, {"gtol": 0.0}, tries=True),
    "trust-constr": Method("trust-constr", True, True, {"gtol": 0.0, "xtol": 1e-14, "barrier_tol": 1e-12}),
}


@dataclass(frozen=True)
class Iterate:
    """A point on the way: the loss, the largest entry of the gradient that may still move, evaluations up to here."""

    number: int
    loss: float
    slope: float
    evaluations: int
    products: int

    def __str__(self) -> str:
        products = f"   Hessian products {self.products}" if self.products else ""
        return (
            f"iteration {self.number:4}   loss {self.loss:.10g}   |gradient| {self.slope:.1e}   "
            f"evaluations {self.evaluations}{products}"
        )


@dataclass(frozen=True)
class Solution:
    """The outcome: parameters by name, the iterates, why the search ended, and what was measured there.

    ``active`` tells of each parameter with bounds how many entries stand at the lower and at the upper one. What was
    ``interrupted`` or did not converge has the best parameters that were seen.
    """

    params: dict[str, Array]
    iterates: tuple[Iterate, ...]
    module: Any
    reason: str
    converged: bool
    interrupted: bool
    active: dict[str, tuple[int, int]]
    measured: Measure
    held: Measure | None


class _StoppedError(Exception):
    """The search cannot go on; the words say why."""


def solve(
    model: derive.Differentiable,
    data: Data,
    *,
    method: str = "lbfgsb",
    tol: float = 1e-6,
    max_iterations: int = 1000,
    seed: int = 0,
    holdout: float = 0.0,
    target: str = "numba",
    on_iterate: Callable[[Iterate], None] | None = None,
) -> Solution:
    """Minimize the objective of ``model`` over all ``data`` but what is held out.

    It starts where `init_params` starts, computes in double precision and keeps the bounds of the model. Noise is drawn
    once, by ``seed``. Interrupted by the user, it returns what it has.

    Raises GradcError where there is nothing to minimize, or the method does not keep the bounds that there are.
    """
    program, chosen = model.program, METHODS[method]
    _check(program, method)
    known = {d.name for d in program.dims}
    sizes = {name: size for name, size in data.sizes.items() if name in known}
    module = compile(model, dtype="float64", sizes=sizes, target=target, products=chosen.products)
    kept, held = data.split(holdout, seed)
    arrays = cast(kept, module.DTYPE)
    assert program.objective is not None
    given = {name: arrays[name] for name in names_for(program, [program.objective])}
    search = _Search(program, module, given, seed, tol, chosen, on_iterate)
    reason, converged, interrupted = search.run(max_iterations)
    params = {name: np.array(a) for name, a in search.params().items()}
    return Solution(
        params,
        tuple(search.iterates),
        module,
        reason,
        converged,
        interrupted,
        search.active(),
        measure(program, module, search.params(), arrays),
        None if held is None else measure(program, module, search.params(), cast(held, module.DTYPE)),
    )


def _check(program: Program, method: str) -> None:
    if program.objective is None or not program.trained:
        missing = "no line minimize" if program.objective is None else "no parameters that are trained"
        raise GradcError(f"{program.name} has nothing to solve: it has {missing}")
    if program.updates:
        name = program.updates[0][0].name
        raise GradcError(
            f"the state {name} changes from step to step, and solving takes no such steps: use gradc train"
        )
    limited = [t for t in program.trained if t.bounds is not None]
    if limited and not METHODS[method].bounds:
        able = ", ".join(name for name, m in METHODS.items() if m.bounds)
        raise GradcError(f"{limited[0].name} has bounds, which {method} does not keep; these methods do: {able}")


class _Search:
    """One run: the point where it is, the best one, and everything that was counted on the way."""

    def __init__(
        self,
        program: Program,
        module: Any,
        inputs: dict[str, Array],
        seed: int,
        tol: float,
        method: Method,
        on_iterate: Callable[[Iterate], None] | None,
    ) -> None:
        self.program, self.module, self.tol, self.method, self.on_iterate = program, module, tol, method, on_iterate
        self.inputs: dict[str, Any] = dict(inputs)
        if any(t.kind == "noise" for t in program.data):
            self.inputs["seed"] = seed
        whole = self.by_name({t.name: True for t in program.trained}, False) > 0
        self.free = slice(None) if whole.all() else np.flatnonzero(whole)
        limits = {t.name: t.bounds for t in program.trained if t.bounds is not None}
        self.low = self.by_name({k: -math.inf if a is None else float(a) for k, (a, _) in limits.items()}, -math.inf)
        self.high = self.by_name({k: math.inf if b is None else float(b) for k, (_, b) in limits.items()}, math.inf)
        self.theta = np.clip(self.vector(module.init_params(seed)), self.low, self.high)
        self.limited = [t for t in program.trained if t.bounds is not None]
        self.iterates: list[Iterate] = []
        self.evaluations = self.products = 0
        self.recent: dict[bytes, tuple[float, Array]] = {}

    def vector(self, params: dict[str, Array]) -> Array:
        """The flat vector that the parameters are views of."""
        return np.asarray(next(iter(params.values())).base)

    def by_name(self, values: Mapping[str, float], other: float) -> Array:
        """A flat vector with one value for all entries of a parameter, ``other`` for those without."""
        params = self.module.init_params(0)
        for name, array in params.items():
            array[...] = values.get(name, other)
        return self.vector(params)

    def params(self, theta: Array | None = None) -> dict[str, Array]:
        """The parameters at a point, by name."""
        params: dict[str, Array] = self.module.init_params(0)
        self.vector(params)[...] = self.theta if theta is None else theta
        return params

    def point(self, x: Array, elsewhere: Array | None = None) -> Array:
        """The flat vector with ``x`` where parameters are trained."""
        full = (self.theta if elsewhere is None else elsewhere).copy()
        full[self.free] = x
        return full

    def value(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        key = x.tobytes()
        if key in self.recent:
            return self.recent[key]
        loss, slope = self.module.loss_and_grad_flat(self.point(x), **self.inputs)
        self.evaluations += 1
        finite = math.isfinite(loss) and bool(np.isfinite(slope).all())
        if not finite and not (self.method.tries and self.iterates):
            where = "at the start" if not self.iterates else f"where the search went after iteration {self.last.number}"
            raise _StoppedError(f"the loss or its gradient is no finite number {where}")
        found = (loss, slope[self.free]) if finite else (math.inf, np.zeros(len(x)))
        self.recent = {**dict(list(self.recent.items())[-2:]), key: found}
        return found

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian times v."""
        self.products += 1
        found = self.module.hvp_flat(self.point(x), self.point(v, np.zeros_like(self.theta)), **self.inputs)
        return np.asarray(found[self.free])

    @property
    def last(self) -> Iterate:
        """The iterate where the search is."""
        return self.iterates[-1]

    def arrived(self, x: Array) -> bool:
        """Note the point as an iterate; whether it is a minimum to the tolerance."""
        loss, slope = self.value(x)
        inside = np.clip(x - slope, self.low[self.free], self.high[self.free])
        largest = float(np.abs(x - inside).max(initial=0.0))
        self.theta = self.point(x)
        number = self.last.number + 1 if self.iterates else 0
        self.iterates.append(Iterate(number, loss, largest, self.evaluations, self.products))
        if self.on_iterate is not None:
            self.on_iterate(self.last)
        return largest <= self.tol

    def run(self, limit: int) -> tuple[str, bool, bool]:
        """Why it ended, whether it converged, whether it was interrupted."""
        ended = self._search(limit)
        self.theta = np.clip(self.theta, self.low, self.high)  # a barrier may leave them by rounding
        return ended

    def _search(self, limit: int) -> tuple[str, bool, bool]:

        def callback(intermediate_result: OptimizeResult) -> None:
            if self.arrived(np.array(intermediate_result.x)):
                raise StopIteration

        met = f"no entry of the gradient is above {self.tol:g}"
        try:
            if self.arrived(self.theta[self.free].copy()):
                return met, True, False
            bounded = {"bounds": Bounds(self.low[self.free], self.high[self.free])} if self.limited else {}
            done = _minimize(
                self.value,
                self.theta[self.free].copy(),
                jac=True,
                method=self.method.scipy,
                callback=callback,
                options={**self.method.options, "maxiter": limit},
                **bounded,
                **({"hessp": self.product} if self.method.products else {}),
            )
        except KeyboardInterrupt:
            return "interrupted", False, True
        except _StoppedError as e:
            return str(e), False, False
        if self.last.slope <= self.tol:
            return met, True, False
        if self.last.number >= limit:
            return f"{limit} iterations are over, and the gradient is above {self.tol:g}", False, False
        if done.success:
            return "the loss no longer falls by more than rounding", True, False
        return f"{self.method.scipy} finds no lower loss, and the gradient is above {self.tol:g}", False, False

    def active(self) -> dict[str, tuple[int, int]]:
        """How many entries of each limited parameter stand at their lower and upper bound."""
        at_low, at_high = self.params(self.theta <= self.low), self.params(self.theta >= self.high)
        return {t.name: (int(at_low[t.name].sum()), int(at_high[t.name].sum())) for t in self.limited}
