"""JAX: one jitted step with donated weights, and a whole epoch in one `lax.scan`."""

from __future__ import annotations

from typing import Any

import jax
import jax.experimental.jet
import jax.numpy as jnp
import numpy as np

from benchmarks.training.solver import flat, named, solved
from benchmarks.training.workload import Array, Arrays, Form, Way, Workload


def ways(w: Workload, dtype: str, steps: int, start: Arrays) -> dict[str, Way]:
    """Both ways of each form, on data that is on the device before the clock starts."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    found: dict[str, Way] = {}
    for name, form in w.in_jax(jax).items():
        if w.unit == "solve":
            found["SciPy with a gradient by jax.jit"] = _search(form, w.data(dtype, steps), start)
        else:
            found |= {f"{way}, {name}" if name else way: made for way, made in _trained(w, form, dtype, steps, start)}
    return found


def _search(form: Form, data: Arrays, start: Arrays) -> Way:
    one, piece = jax.jit(jax.value_and_grad(form.loss)), jax.device_put(data)

    def value(theta: Array) -> tuple[float, Array]:
        loss, g = one(named(theta, start), piece)
        return float(loss), flat({k: np.asarray(g[k]) for k in start})

    return solved(value, start)


def _trained(w: Workload, form: Form, dtype: str, steps: int, start: Arrays) -> list[tuple[str, Way]]:
    prepared = [form.data(piece) for piece in w.pieces(w.data(dtype, steps))]
    stacked = {k: jnp.asarray(np.stack([piece[k] for piece in prepared])) for k in prepared[0]}
    pieces = [{k: a[s] for k, a in stacked.items()} for s in range(steps)]

    def step(state: Any, piece: Any) -> tuple[Any, Any]:
        p, m, v, t = state
        value, g = jax.value_and_grad(form.loss)(p, piece)
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
    whole = jax.jit(lambda state: jax.lax.scan(step, state, stacked), donate_argnums=0)
    first = form.start(start)
    weights = {name: {k: jnp.array(a, copy=True) for k, a in first.items()} for name in ("jit", "scan")}

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

    def made(name: str, run: Any) -> Way:
        return Way(run, lambda: form.found({k: np.asarray(a) for k, a in weights[name].items()}))

    both = {"jit": ("jax.jit", made("jit", stepwise)), "scan": ("jax.lax.scan", made("scan", scanned))}
    return [both[name] for name in form.ways or both]
