"""Solves the heat equation and Burgers' equation by a network that is trained by the equation alone.

In: a model of `heat.gc` or `burgers.gc`, and random points of the domain. Out: the relative error of the network
against the exact solution on a grid, with the root of the mean squared residual. Nothing but the equation is trained:
what u is at the start and at the ends is built into the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import derive
from codegen.data import Data, arrange
from codegen.solve import Iterate, Solution, solve
from codegen.sources import Source

EXAMPLES = Path(__file__).resolve().parent
Array = NDArray[np.float64]


def heat(x: Array, t: Array, kappa: float = 0.1) -> Array:
    """The exact solution by separation: each sine dies away at its own rate."""
    modes = ((1, 1.0), (3, 0.5))
    return sum(a * np.exp(-kappa * (k * np.pi) ** 2 * t) * np.sin(k * np.pi * x) for k, a in modes) + 0 * x


def burgers(x: Array, t: Array, nu: float = 0.1 / np.pi, points: int = 200) -> Array:
    """The exact solution by Cole and Hopf: a quotient of two integrals, by Gauss-Hermite quadrature.

    u(x, t) = −∫ sin(π(x−η)) f(x−η) e^(−η²/4νt) dη / ∫ f(x−η) e^(−η²/4νt) dη with f(y) = e^(−cos(πy)/2πν).
    """
    nodes, weights = np.polynomial.hermite.hermgauss(points)
    at = np.maximum(t, 1e-12)[..., None]
    y = x[..., None] - nodes * np.sqrt(4 * nu * at)
    exponent = -np.cos(np.pi * y) / (2 * np.pi * nu)
    f = weights * np.exp(exponent - exponent.max(-1, keepdims=True))
    return np.asarray(-(np.sin(np.pi * y) * f).sum(-1) / f.sum(-1))


class Problem(NamedTuple):
    """An equation: where x runs, how many points it takes, its exact solution, and how many iterations."""

    left: float
    points: int
    exact: Callable[[Array, Array], Array]
    iterations: int


PROBLEMS = {"heat": Problem(0.0, 1000, heat, 3000), "burgers": Problem(-1.0, 1000, burgers, 2000)}


def scattered(problem: Problem, model: derive.Differentiable, points: int, seed: int) -> Data:
    """Random points of the domain, one in each of as many strips along x and along t (a Latin square)."""
    rng = np.random.default_rng(seed)
    x, t = ((rng.permutation(points) + rng.uniform(size=points)) / points for _ in range(2))
    return arrange(Source("points", {"x": problem.left + (1 - problem.left) * x, "t": t}), model.program)


def error(solution: Solution, problem: Problem) -> float:
    """The relative error of the solution against the exact one, over a grid of the whole domain."""
    grid = np.meshgrid(np.linspace(problem.left, 1, 201), np.linspace(0, 1, 101))
    x, t = (np.ascontiguousarray(a.ravel()) for a in grid)
    exact = problem.exact(x, t)
    found = solution.module.forward(solution.params, x=x, t=t)["u"]
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def main() -> None:
    """Solve, and fail where the error is larger than asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("equation", nargs="?", default="heat", choices=list(PROBLEMS))
    parser.add_argument("--points", type=int)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-most", type=float, default=0.01, help="the relative error above which this fails")
    options = parser.parse_args()
    problem, model = PROBLEMS[options.equation], derive.load(EXAMPLES / f"{options.equation}.gc")
    start = time.perf_counter()

    def told(iterate: Iterate) -> None:
        if iterate.number % 200 == 0:
            print(f"{time.perf_counter() - start:6.1f} s   {iterate}", flush=True)

    found = solve(
        model,
        scattered(problem, model, options.points or problem.points, options.seed),
        tol=1e-9,
        max_iterations=options.iterations or problem.iterations,
        seed=options.seed,
        on_iterate=told,
    )
    loss, relative = found.iterates[-1].loss, error(found, problem)
    print(
        f"{options.equation}: {len(found.iterates)} iterations, {time.perf_counter() - start:.0f} s; "
        f"residual {np.sqrt(loss):.2e}, relative error against the exact solution {relative:.2%}"
    )
    if relative > options.at_most:
        raise SystemExit(f"above {options.at_most:.1%}")


if __name__ == "__main__":
    main()
