"""A physics-informed network: u(x, t) of 2-20-20-20-1 tanh and the residual u_t − 0.1 u_xx of the heat equation.

Peers have it in two ways, which are workloads of their own: as nested derivatives, the way users write it, and with
the streams u, u_x, u_t, u_xx propagated by hand.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from benchmarks.training.workload import Arrays, Form, Workload

_MODEL = """model {name}
dims h = {width}
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
optimizer sgd(lr={rate})
output u
"""


@dataclass(frozen=True)
class Pinn(Workload):
    """The residual on ``batch`` points a step; ``by_hand`` says what the peers are given."""

    _: KW_ONLY
    by_hand: bool = False
    width: int = 20

    @property
    def title(self) -> str:
        peers = "streams propagated by hand" if self.by_hand else "nested derivatives"
        h = self.width
        return f"physics-informed 2-{h}-{h}-{h}-1 tanh, {self.batch} points; peers with {peers}"

    @property
    def parameters(self) -> int:
        return 3 * self.width + 2 * self.width * (self.width + 1) + self.width + 1

    @property
    def flops(self) -> int:
        """Those of u, u_x and the one combination u_t − 0.1 u_xx, forwards and twice backwards."""
        return 2 * self.batch * 3 * 3 * (2 * self.width**2 + self.width)

    def model(self) -> str:
        return _MODEL.format(name=self.name, width=self.width, rate=self.rate)

    def data(self, dtype: str, steps: int) -> Arrays:
        rng = np.random.default_rng(1)
        return {k: rng.uniform(-1, 1, steps * self.batch).astype(dtype) for k in ("x", "t")}

    def in_jax(self, jax: Any) -> dict[str, Form]:
        jnp = jax.numpy
        if self.by_hand:
            return {name: Form(loss) for name, loss in _streams(jnp).items()}
        jvp, grad, jet = jax.jvp, jax.grad, jax.experimental.jet.jet

        def u(p: Any, x: Any, t: Any) -> Any:
            return _network(jnp, p, x * p["w1"] + t * p["v1"])

        def batched(p: Any, x: Any, t: Any) -> Any:
            return _network(jnp, p, x[:, None] * p["w1"] + t[:, None] * p["v1"])

        def reverse_over_reverse(p: Any, x: Any, t: Any) -> Any:
            u_x = grad(u, argnums=1)
            return grad(u, argnums=2)(p, x, t) - 0.1 * grad(u_x, argnums=1)(p, x, t)

        def forward_over_reverse(p: Any, x: Any, t: Any) -> Any:
            u_xx = jvp(lambda x: grad(u, argnums=1)(p, x, t), (x,), (jnp.ones_like(x),))[1]
            return grad(u, argnums=2)(p, x, t) - 0.1 * u_xx

        def forward_over_forward(u: Any) -> Any:
            def residual(p: Any, x: Any, t: Any) -> Any:
                one = jnp.ones_like(x)
                u_xx = jvp(lambda x: jvp(lambda x: u(p, x, t), (x,), (one,))[1], (x,), (one,))[1]
                return jvp(lambda t: u(p, x, t), (t,), (one,))[1] - 0.1 * u_xx

            return residual

        def taylor(p: Any, x: Any, t: Any) -> Any:
            one = jnp.ones_like(x)
            _, (_, u_xx) = jet(lambda x: batched(p, x, t), (x,), ((one, jnp.zeros_like(x)),))
            return jvp(lambda t: batched(p, x, t), (t,), (one,))[1] - 0.1 * u_xx

        def by_sample(residual: Any) -> Any:
            return jax.vmap(residual, in_axes=(None, 0, 0))

        residuals = {
            "grad of grad": by_sample(reverse_over_reverse),
            "jvp of grad": by_sample(forward_over_reverse),
            "jvp of jvp": forward_over_forward(batched),
            "jvp of jvp by sample": by_sample(forward_over_forward(u)),
            "jet": taylor,
        }
        return {name: Form(_mean_square(jnp, r)) for name, r in residuals.items()}

    def in_torch(self, torch: Any) -> dict[str, Form]:
        if self.by_hand:
            return {name: Form(loss) for name, loss in _streams(torch).items()}
        grad, functional = torch.autograd.grad, torch.func.grad

        def u(p: Any, x: Any, t: Any) -> Any:
            return _network(torch, p, x[:, None] * p["w1"] + t[:, None] * p["v1"])

        def recorded(p: Any, x: Any, t: Any) -> Any:
            x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
            u_x, u_t = grad(u(p, x, t).sum(), (x, t), create_graph=True)
            (u_xx,) = grad(u_x.sum(), x, create_graph=True)
            return u_t - 0.1 * u_xx

        def transformed(p: Any, x: Any, t: Any) -> Any:
            u_xx = functional(lambda x: functional(lambda x: u(p, x, t).sum())(x).sum())(x)
            return functional(lambda t: u(p, x, t).sum())(t) - 0.1 * u_xx

        return {
            "autograd": Form(_mean_square(torch, recorded), ways=("eager",)),  # which it cannot compile
            "grad of grad": Form(_mean_square(torch, transformed)),
        }


def _network(xp: Any, p: Any, z: Any) -> Any:
    a = xp.tanh(z + p["b1"])
    for k in (2, 3):
        a = xp.tanh(a @ p[f"W{k}"] + p[f"b{k}"])
    return a @ p["w4"] + p["b4"]


def _mean_square(xp: Any, residual: Any) -> Any:
    return lambda p, piece: xp.mean(residual(p, piece["x"], piece["t"]) ** 2)


def _streams(xp: Any) -> dict[str, Any]:
    """The loss with A, A_x, A_t, A_xx of each layer, in products of their own and as one product of all four."""

    def activated(z: Any, z_x: Any, z_t: Any, z_xx: Any) -> Any:
        a = xp.tanh(z)
        s = 1 - a * a
        return a, s * z_x, s * z_t, s * (z_xx - 2 * a * z_x * z_x)

    def first(p: Any, piece: Any) -> Any:
        z = piece["x"][:, None] * p["w1"] + piece["t"][:, None] * p["v1"] + p["b1"]
        return activated(z, p["w1"], p["v1"], 0.0)

    def apart(p: Any, piece: Any) -> Any:
        found = first(p, piece)
        for k in (2, 3):
            z, *others = (a @ p[f"W{k}"] for a in found)
            found = activated(z + p[f"b{k}"], *others)
        return xp.mean((found[2] @ p["w4"] - 0.1 * (found[3] @ p["w4"])) ** 2)

    def stacked(p: Any, piece: Any) -> Any:
        found, n = first(p, piece), len(piece["x"])
        for k in (2, 3):
            z, *others = (xp.concatenate(found) @ p[f"W{k}"]).reshape(4, n, -1)
            found = activated(z + p[f"b{k}"], *others)
        return xp.mean(((found[2] - 0.1 * found[3]) @ p["w4"]) ** 2)

    return {"four streams": apart, "four streams stacked": stacked}
