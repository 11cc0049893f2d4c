"""Times one training step of a physics-informed network against `jax.jit` of the same loss and gradient.

In: a 2-20-20-20-1 tanh network and the residual u_t - 0.1 u_xx on 1,000 points. Out: for float64 and float32 the
median times, their ratio, and how far the two gradients are apart. The two take turns in one process, so that what
slows the machine slows both. Needs JAX (`pip install jax`), which gradc does not.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import derive
from codegen.api import build

MODEL = """model heat_h
dims h = 20
batch n
input x : [n]
input t : [n]
param w1 : [h] ~ glorot_uniform()
param v1 : [h] ~ glorot_uniform()
param b1 : [h]
param W2 : [h, h] ~ glorot_uniform()
param b2 : [h]
param W3 : [h, h] ~ glorot_uniform()
param b3 : [h]
param w4 : [h] ~ glorot_uniform()
param b4
A1 = tanh(col(x) * w1 + col(t) * v1 + b1)
A2 = tanh(A1 @ W2 + b2)
A3 = tanh(A2 @ W3 + b3)
u = A3 @ w4 + b4
r = d(u, t) - 0.1 * d(d(u, x), x)
minimize mean(r^2)
"""


def emitted(dtype: str, folder: Path) -> ModuleType:
    """The module that gradc makes of the model."""
    path = folder / f"heat_{dtype}.py"
    build(derive.parse(MODEL), path, dtype=dtype)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def jax_ways(dtype: str) -> dict[str, Callable[..., Any]]:
    """The loss and its gradient in JAX, the derivatives in u nested in each way that JAX has."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", dtype == "float64")

    def u(p: Any, x: Any, t: Any) -> Any:
        a = jnp.tanh(x * p["w1"] + t * p["v1"] + p["b1"])
        a = jnp.tanh(a @ p["W2"] + p["b2"])
        a = jnp.tanh(a @ p["W3"] + p["b3"])
        return a @ p["w4"] + p["b4"]

    def batched(p: Any, x: Any, t: Any) -> Any:
        a = jnp.tanh(x[:, None] * p["w1"] + t[:, None] * p["v1"] + p["b1"])
        a = jnp.tanh(a @ p["W2"] + p["b2"])
        a = jnp.tanh(a @ p["W3"] + p["b3"])
        return a @ p["w4"] + p["b4"]

    def nested_grad(p: Any, x: Any, t: Any) -> Any:
        u_x = jax.grad(u, argnums=1)
        one = lambda x, t: jax.grad(u, argnums=2)(p, x, t) - 0.1 * jax.grad(u_x, argnums=1)(p, x, t)  # noqa: E731
        return jax.vmap(one)(x, t)

    def forward_over_reverse(p: Any, x: Any, t: Any) -> Any:
        def one(x: Any, t: Any) -> Any:
            u_x = lambda x: jax.grad(u, argnums=1)(p, x, t)  # noqa: E731
            return jax.grad(u, argnums=2)(p, x, t) - 0.1 * jax.jvp(u_x, (x,), (jnp.ones_like(x),))[1]

        return jax.vmap(one)(x, t)

    def forward_over_forward(p: Any, x: Any, t: Any) -> Any:
        one = jnp.ones_like(x)
        u_x = lambda x: jax.jvp(lambda x: batched(p, x, t), (x,), (one,))[1]  # noqa: E731
        u_t = jax.jvp(lambda t: batched(p, x, t), (t,), (one,))[1]
        return u_t - 0.1 * jax.jvp(u_x, (x,), (one,))[1]

    def forward_over_forward_by_sample(p: Any, x: Any, t: Any) -> Any:
        def one(x: Any, t: Any) -> Any:
            unit = jnp.ones_like(x)
            u_x = lambda x: jax.jvp(lambda x: u(p, x, t), (x,), (unit,))[1]  # noqa: E731
            return jax.jvp(lambda t: u(p, x, t), (t,), (unit,))[1] - 0.1 * jax.jvp(u_x, (x,), (unit,))[1]

        return jax.vmap(one)(x, t)

    def taylor(p: Any, x: Any, t: Any) -> Any:
        from jax.experimental.jet import jet

        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        _, (_, u_xx) = jet(lambda x: batched(p, x, t), (x,), ((one, zero),))
        return jax.jvp(lambda t: batched(p, x, t), (t,), (one,))[1] - 0.1 * u_xx

    ways = (nested_grad, forward_over_reverse, forward_over_forward, forward_over_forward_by_sample, taylor)
    return {
        way.__name__: jax.jit(jax.value_and_grad(lambda p, x, t, way=way: jnp.mean(way(p, x, t) ** 2))) for way in ways
    }


def timed(step: Callable[[], Any], repeats: int) -> float:
    """Seconds for one step, over several in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def compare(dtype: str, points: int, rounds: int, folder: Path) -> float:
    """Print how long both take and return the median ratio, gradc to the fastest way in JAX."""
    import jax

    module = emitted(dtype, folder)
    params = {k: np.asarray(v, dtype) for k, v in module.init_params(seed=0).items()}
    rng = np.random.default_rng(1)
    x, t = (rng.uniform(-1, 1, points).astype(dtype) for _ in range(2))
    ways = jax_ways(dtype)
    p, xs, ts = jax.device_put((params, x, t))

    def ours() -> Any:
        return module.loss_and_grad(params, x=x, t=t)

    loss, gradient = ours()
    steps: dict[str, Callable[[], Any]] = {}
    print(f"{dtype}, {points} points")
    for name, way in ways.items():
        theirs, other = way(p, xs, ts)
        scale = max(float(np.abs(np.asarray(g)).max()) for g in other.values())
        gap = max(float(np.abs(np.asarray(other[k]) - gradient[k]).max()) / scale for k in params)
        assert gap < (1e-10 if dtype == "float64" else 1e-4), (name, gap)
        steps[name] = lambda way=way: jax.block_until_ready(way(p, xs, ts))  # type: ignore[misc]
        print(f"  {name}: loss {float(theirs):.9g} against {float(loss):.9g}, gradients {gap:.1e} apart")
    times: dict[str, list[float]] = {name: [] for name in ("gradc", *steps)}
    for _ in range(rounds):
        times["gradc"].append(timed(ours, 10))
        for name, step in steps.items():
            times[name].append(timed(step, 10))
    median = {name: statistics.median(found) for name, found in times.items()}
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(times["gradc"], found, strict=True))
        print(f"  {name:31} {1e6 * median[name]:8.0f} µs   gradc takes {ratio:.2f} of it")
    best = min(steps, key=lambda name: median[name])
    return statistics.median(a / b for a, b in zip(times["gradc"], times[best], strict=True))


def main() -> None:
    """Both precisions; fails where gradc is slower than asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append")
    parser.add_argument("--at-most", type=float, help="fail where the ratio of times is above this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for dtype in options.dtype or ["float64", "float32"]:
            ratio = compare(dtype, options.points, options.rounds, Path(folder))
            print(f"  to the fastest of JAX: {ratio:.2f}")
            if options.at_most is not None and ratio > options.at_most:
                raise SystemExit(f"above {options.at_most}")


if __name__ == "__main__":
    main()
