"""NumPy by hand: the step as one would write it, in place where that is quicker."""

from __future__ import annotations

import numpy as np

from benchmarks.training.solver import flat, named, solved
from benchmarks.training.workload import Array, Arrays, Way, Workload


def ways(w: Workload, dtype: str, steps: int, start: Arrays) -> dict[str, Way]:
    """The same steps; Adam begins every epoch with fresh moments, as gradc's `fit` does."""
    gradients, data = w.in_numpy(), w.data(dtype, steps)
    if gradients is None:
        return {}
    if w.unit == "solve":

        def value(theta: Array) -> tuple[float, Array]:
            loss, g = gradients(named(theta, start), data)
            return loss, flat({k: g[k] for k in start})

        return {"NumPy by hand": solved(value, start)}
    pieces = w.pieces(data)
    p = {k: a.copy() for k, a in start.items()}
    m = {k: np.zeros_like(a) for k, a in start.items()}
    v = {k: np.zeros_like(a) for k, a in start.items()}
    real = np.dtype(dtype).type

    def epoch() -> None:
        for k in p if w.optimizer == "adam" else ():
            m[k][:] = v[k][:] = 0
        for s, piece in enumerate(pieces, start=1):
            g = gradients(p, piece)
            for k, a in p.items():
                if w.optimizer == "sgd":
                    g[k] *= real(w.rate)
                    a -= g[k]
                    continue
                m[k] += real(0.1) * (g[k] - m[k])
                v[k] += real(0.001) * (g[k] * g[k] - v[k])
                first, second = 1 - 0.9**s, 1 - 0.999**s
                a -= real(w.rate / first) * m[k] / (np.sqrt(v[k] * real(1 / second)) + real(1e-8))

    return {"NumPy by hand": Way(epoch, lambda: p)}
