"""SciPy's L-BFGS-B for everyone: a function of the flat vector of parameters in, a way to the minimum out.

The settings are those of scikit-learn, so that all searches take the same path as far as rounding allows, and what
differs is the time of an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from benchmarks.training.logistic import TOLERANCE
from benchmarks.training.workload import Array, Arrays, Way

_minimize: Any = optimize.minimize  # its types know no options by name
OPTIONS: dict[str, Any] = {"maxiter": 1000, "maxls": 50, "gtol": TOLERANCE, "ftol": 64 * np.finfo(float).eps}


def flat(arrays: Arrays) -> Array:
    """All arrays as one vector, one behind the other."""
    return np.concatenate([np.ravel(a) for a in arrays.values()])


def named(vector: Array, like: Arrays) -> Arrays:
    """The parts of the vector as arrays of these names and shapes."""
    ends = np.cumsum([a.size for a in like.values()])
    return {k: part.reshape(a.shape) for (k, a), part in zip(like.items(), np.split(vector, ends[:-1]), strict=True)}


def solved(value: Callable[[Array], Any], start: Arrays) -> Way:
    """A search from the start; ``value`` gives the loss and its gradient."""
    found: list[Any] = []

    def run() -> None:
        found[:] = [_minimize(value, flat(start), jac=True, method="L-BFGS-B", options=OPTIONS)]

    return Way(run, lambda: named(found[0].x, start), lambda: int(found[0].nfev))
