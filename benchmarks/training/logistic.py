"""Logistic regression with a penalty, solved to its minimum by L-BFGS: what is timed is a whole solve.

Everyone has SciPy's L-BFGS-B with the settings that scikit-learn gives it, and differs in what computes the loss and
its gradient. An epoch is a solve from the start; the weights compared are the solutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from benchmarks.training.workload import Array, Arrays, Form, Workload

TOLERANCE = 1e-6
"""No entry of the gradient is above it at the solution."""

_MODEL = """model {name}
dims d = {features}
batch n
input X : [n, d]
target y : [n] binary
param w : [d]
param b
p = sigmoid(X @ w + b)
minimize bce(y, p) + l2(w)/(2*n)
output p
"""


@dataclass(frozen=True)
class Logistic(Workload):
    """``batch`` samples of ``features`` numbers, all of them at once."""

    _: KW_ONLY
    features: int = 50

    dtypes: ClassVar[tuple[str, ...]] = ("float64",)  # what SciPy's L-BFGS-B computes in
    unit: ClassVar[str] = "solve"

    @property
    def title(self) -> str:
        return f"logistic regression {self.batch:,}×{self.features}, a whole solve by L-BFGS"

    @property
    def parameters(self) -> int:
        return self.features + 1

    @property
    def flops(self) -> int:
        """Those of one evaluation of the loss and its gradient."""
        return 4 * self.batch * self.features

    def steps(self, milliseconds: float) -> int:
        return 1

    def agree(self, dtype: str) -> float:
        return 1e-5  # searches end at the tolerance, not at the minimum

    def model(self) -> str:
        return _MODEL.format(name=self.name, features=self.features)

    def data(self, dtype: str, steps: int) -> Arrays:
        """Features of unlike scales that go together, so that the search takes as many iterations as on real data."""
        rng = np.random.default_rng(1)
        mixed = rng.standard_normal((self.features, self.features)) / np.sqrt(4 * self.features)
        x = rng.standard_normal((self.batch, self.features)) @ (np.eye(self.features) + mixed)
        x = (x * np.geomspace(0.3, 3, self.features)).astype(dtype)
        score = 1 + x @ rng.standard_normal(self.features) / 4 + rng.logistic(size=self.batch)
        return {"X": x, "y": (score > 0).astype(dtype)}

    def in_jax(self, jax: Any) -> dict[str, Form]:
        jnp = jax.numpy

        def loss(p: Any, piece: Any) -> Any:
            z, y = piece["X"] @ p["w"] + p["b"], piece["y"]
            return jnp.mean(jax.nn.softplus(z) - y * z) + p["w"] @ p["w"] / (2 * len(y))

        return {"": Form(loss)}

    def in_numpy(self) -> Callable[[Arrays, Arrays], tuple[float, Arrays]]:
        """The loss too, which a search wants."""

        def value_and_gradients(p: Arrays, piece: Arrays) -> tuple[float, Arrays]:
            x, y, w = piece["X"], piece["y"], p["w"]
            z = x @ w
            z += p["b"]
            e = np.exp(-np.abs(z))
            loss = (np.maximum(z, 0) + np.log1p(e)).mean() - y @ z / len(y) + w @ w / (2 * len(y))
            delta: Array = np.where(z >= 0, 1, e) / (1 + e)
            delta -= y
            delta /= len(y)
            return float(loss), {"w": delta @ x + w / len(y), "b": np.asarray(delta.sum())}

        return value_and_gradients
