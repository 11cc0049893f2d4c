"""NumPy by hand: the step as one would write it, in place where that is quicker."""

from __future__ import annotations

import numpy as np

from benchmarks.training.with_gradc import Epoch, Weights
from benchmarks.training.workloads import Array, Workload


def epochs(w: Workload, dtype: str, steps: int, start: dict[str, Array]) -> dict[str, tuple[Epoch, Weights]]:
    """One epoch of the same steps; Adam keeps its moments from epoch to epoch, as all peers do but gradc's `fit`."""
    x, y = w.data(dtype, steps)
    p = {k: a.copy() for k, a in start.items()}
    m = {k: np.zeros_like(a) for k, a in start.items()}
    v = {k: np.zeros_like(a) for k, a in start.items()}
    last, n = len(w.widths) - 1, w.batch
    real = np.dtype(dtype).type

    def gradients(a: Array, target: Array) -> dict[str, Array]:
        values = [a]
        for k in w.layers:
            a = a @ p[f"W{k}"]
            a += p[f"b{k}"]
            if k < last:
                np.maximum(a, 0, out=a) if w.activation == "relu" else np.tanh(a, out=a)
            values.append(a)
        if w.loss == "cross_entropy":
            a -= a.max(axis=1, keepdims=True)
            np.exp(a, out=a)
            a /= a.sum(axis=1, keepdims=True)
            delta = a
            delta -= target
            delta /= real(n)
        else:
            delta = a
            delta -= target
            delta *= real(2 / a.size)
        g: dict[str, Array] = {}
        for k in reversed(w.layers):
            g[f"W{k}"], g[f"b{k}"] = values[k - 1].T @ delta, delta.sum(axis=0)
            if k > 1:
                delta = delta @ p[f"W{k}"].T
                above = values[k - 1]
                delta *= above > 0 if w.activation == "relu" else 1 - above * above
        return g

    def epoch() -> None:
        for k in p if w.optimizer == "adam" else ():
            m[k][:] = v[k][:] = 0
        for s in range(steps):
            g = gradients(x[s * n : (s + 1) * n], y[s * n : (s + 1) * n])
            for k, a in p.items():
                if w.optimizer == "sgd":
                    g[k] *= real(w.rate)
                    a -= g[k]
                    continue
                m[k] += real(0.1) * (g[k] - m[k])
                v[k] += real(0.001) * (g[k] * g[k] - v[k])
                first, second = 1 - 0.9 ** (s + 1), 1 - 0.999 ** (s + 1)
                a -= real(w.rate / first) * m[k] / (np.sqrt(v[k] * real(1 / second)) + real(1e-8))

    return {"NumPy by hand": (epoch, lambda: p)}
