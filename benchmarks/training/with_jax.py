"""JAX: one jitted step with donated weights, and a whole epoch in one `lax.scan`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.training.with_gradc import Epoch, Weights
from benchmarks.training.workloads import Array, Workload


def epochs(w: Workload, dtype: str, steps: int, start: dict[str, Array]) -> dict[str, tuple[Epoch, Weights]]:
    """Both ways, on data that is on the device before the clock starts."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    x, y = w.data(dtype, steps)
    xs = jnp.asarray(x.reshape(steps, w.batch, -1))
    ys = jnp.asarray(y.reshape(steps, w.batch, -1))
    pieces = [(xs[s], ys[s]) for s in range(steps)]
    last = len(w.widths) - 1

    def loss(p: Any, a: Any, target: Any) -> Any:
        for k in w.layers:
            a = a @ p[f"W{k}"] + p[f"b{k}"]
            if k < last:
                a = jax.nn.relu(a) if w.activation == "relu" else jnp.tanh(a)
        if w.loss == "mse":
            return jnp.mean((a - target) ** 2)
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(a), axis=1))

    def step(state: Any, piece: Any) -> tuple[Any, Any]:
        p, m, v, t = state
        value, g = jax.value_and_grad(loss)(p, *piece)
        t = t + 1
        if w.optimizer == "sgd":
            return ({k: a - w.rate * g[k] for k, a in p.items()}, m, v, t), value
        m = {k: 0.9 * m[k] + 0.1 * g[k] for k in p}
        v = {k: 0.999 * v[k] + 0.001 * g[k] ** 2 for k in p}
        first, second = 1 - 0.9**t, 1 - 0.999**t
        p = {k: a - w.rate * (m[k] / first) / (jnp.sqrt(v[k] / second) + 1e-8) for k, a in p.items()}
        return (p, m, v, t), value

    def fresh(p: dict[str, Any]) -> Any:
        moments = p if w.optimizer == "adam" else {}
        return (p, *({k: jnp.zeros_like(a) for k, a in moments.items()} for _ in range(2)), jnp.zeros((), dtype))

    one = jax.jit(step, donate_argnums=0)
    whole = jax.jit(lambda state: jax.lax.scan(step, state, (xs, ys)), donate_argnums=0)
    weights = {name: {k: jnp.array(a, copy=True) for k, a in start.items()} for name in ("jit", "scan")}

    def stepwise() -> None:
        state = fresh(weights["jit"])
        for piece in pieces:
            state, value = one(state, piece)
        jax.block_until_ready(value)
        weights["jit"] = state[0]

    def scanned() -> None:
        state, values = whole(fresh(weights["scan"]))
        jax.block_until_ready(values)
        weights["scan"] = state[0]

    def look(name: str) -> Weights:
        return lambda: {k: np.asarray(a) for k, a in weights[name].items()}

    return {"jax.jit, a step": (stepwise, look("jit")), "jax, lax.scan": (scanned, look("scan"))}
