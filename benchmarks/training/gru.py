"""A gated recurrent unit that reads a sequence, and a dense layer behind its last state.

The gates are PyTorch's, whose reset gate acts behind the product: n = tanh(W x + b + r (U h + a)). Peers have
the weights of the three gates side by side, so that a step takes one product; inputs are multiplied all at once.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from benchmarks.training.workload import Arrays, Form, Workload, labelled, one_hot

_GATES = "rzn"
_MODEL = """model {name}
dims T = {length}, d = {inputs}, h = {units}, c = 10
batch n
input X : [n, T, d]
target Y : [n, c] one_hot
{params}
param V : [h, c] ~ glorot_uniform()
param v : [c]
H[0, s:n, j:h] = 0
R[i, s, j] = sigmoid(sum[k] X[s, i, k]*Wr[k, j] + br[j] + sum[k] H[i, s, k]*Ur[k, j] + ar[j])
Z[i, s, j] = sigmoid(sum[k] X[s, i, k]*Wz[k, j] + bz[j] + sum[k] H[i, s, k]*Uz[k, j] + az[j])
N[i, s, j] = tanh(sum[k] X[s, i, k]*Wn[k, j] + bn[j] + R[i, s, j]*(sum[k] H[i, s, k]*Un[k, j] + an[j]))
H[i+1, s, j] = (1 - Z[i, s, j])*N[i, s, j] + Z[i, s, j]*H[i, s, j]
S = H[T] @ V + v
P = softmax(S, axis=1)
minimize cross_entropy(Y, P)
optimizer sgd(lr={rate})
output P
"""


@dataclass(frozen=True)
class Gru(Workload):
    """``length`` steps of ``inputs`` numbers, ``units`` units, ten classes."""

    _: KW_ONLY
    length: int = 32
    inputs: int = 64
    units: int = 64

    @property
    def title(self) -> str:
        return f"GRU, {self.units} units, {self.length} steps of {self.inputs}, batch {self.batch}"

    @property
    def parameters(self) -> int:
        return 3 * self.units * (self.inputs + self.units + 2) + 10 * (self.units + 1)

    @property
    def flops(self) -> int:
        gates = 3 * self.length * self.units * (2 * self.inputs + 3 * self.units)
        return 2 * self.batch * (gates + 3 * self.units * 10)

    def model(self) -> str:
        lines = [f"param W{g} : [d, h] ~ glorot_uniform()\nparam U{g} : [h, h] ~ glorot_uniform()" for g in _GATES]
        lines += [f"param b{g} : [h]\nparam a{g} : [h]" for g in _GATES]
        sizes = {"length": self.length, "inputs": self.inputs, "units": self.units}
        return _MODEL.format(name=self.name, rate=self.rate, params="\n".join(lines), **sizes)

    def data(self, dtype: str, steps: int) -> Arrays:
        rng = np.random.default_rng(1)
        count = steps * self.batch
        x = rng.standard_normal((count, self.length, self.inputs)).astype(dtype)
        return {"X": x, "Y": one_hot(rng, count, 10, dtype)}

    def in_jax(self, jax: Any) -> dict[str, Form]:
        jnp = jax.numpy

        def cell(p: Any, h: Any, x: Any) -> Any:
            xr, xz, xn = jnp.split(x, 3, axis=1)
            hr, hz, hn = jnp.split(h @ p["U"] + p["a"], 3, axis=1)
            z, n = jax.nn.sigmoid(xz + hz), jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn)
            return (1 - z) * n + z * h

        def loss(unroll: int) -> Any:
            def of(p: Any, piece: Any) -> Any:
                xs = piece["X"] @ p["W"] + p["b"]
                start = jnp.zeros((xs.shape[1], self.units), xs.dtype)
                h, _ = jax.lax.scan(lambda h, x: (cell(p, h, x), None), start, xs, unroll=unroll)
                return -jnp.mean(jnp.sum(piece["Y"] * jax.nn.log_softmax(h @ p["V"] + p["v"]), axis=1))

            return of

        how: dict[str, Any] = {"data": _steps_first, "start": lambda p: _joined(p, 1), "found": lambda p: _apart(p, 1)}
        return {"loop": Form(loss(1), **how), "loop unrolled by 4": Form(loss(4), **how)}

    def in_torch(self, torch: Any) -> dict[str, Form]:
        """By the operation behind `torch.nn.GRU`; compiled, it is unrolled and fused as if it were written by hand."""

        def loss(p: Any, piece: Any) -> Any:
            x = piece["X"]
            weights = [p["W"], p["U"], p["b"], p["a"]]
            start = torch.zeros(1, x.shape[1], self.units, dtype=x.dtype)
            _, h = torch.gru(x, start, weights, True, 1, 0.0, True, False, False)
            return torch.nn.functional.cross_entropy(torch.addmm(p["v"], h[0], p["V"]), piece["Y"])

        how: dict[str, Any] = {"start": lambda p: _joined(p, 0), "found": lambda p: _apart(p, 0)}
        return {"": Form(loss, data=lambda piece: _steps_first(labelled(piece)), **how)}


def _steps_first(piece: Arrays) -> Arrays:
    return piece | {"X": np.ascontiguousarray(piece["X"].swapaxes(0, 1))}


def _joined(p: Arrays, axis: int) -> Arrays:
    """The gates side by side: as columns, or transposed as rows, which is how PyTorch has them."""
    joined = {k: np.concatenate([p[k + g] for g in _GATES], axis=-1) for k in "WUba"}
    return {k: np.ascontiguousarray(a if axis else a.T) for k, a in joined.items()} | {k: p[k] for k in "Vv"}


def _apart(p: Arrays, axis: int) -> Arrays:
    joined = {k: np.asarray(p[k]) if axis else np.asarray(p[k]).T for k in "WUba"}
    parts = {k + g: a for k, whole in joined.items() for g, a in zip(_GATES, np.split(whole, 3, axis=-1), strict=True)}
    return parts | {k: p[k] for k in "Vv"}
