"""A block of a transformer with layer norms in front: attention in four heads, then two dense layers with gelu.

Peers have the weights of queries, keys and values side by side, so that all three are one product.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from benchmarks.training.workload import Arrays, Form, Workload

_MODEL = """model {name}
dims e = {each}, d = {heads}*e, s = {length}, f = 4*d
batch n
input X : [n, s, d]
target T : [n, s, d]
param Wq : [d, {heads}, e] ~ glorot_uniform()
param Wk : [d, {heads}, e] ~ glorot_uniform()
param Wv : [d, {heads}, e] ~ glorot_uniform()
param Wo : [{heads}, e, d] ~ glorot_uniform()
param o : [d]
N = layer_norm(X)
Q[x, i, a, b] = sum[k] N[x, i, k]*Wq[k, a, b]
K[x, i, a, b] = sum[k] N[x, i, k]*Wk[k, a, b]
V[x, i, a, b] = sum[k] N[x, i, k]*Wv[k, a, b]
S[x, a, i, j] = (sum[b] Q[x, i, a, b]*K[x, j, a, b]) / sqrt(e)
P = softmax(S, axis=3)
C[x, i, a, b] = sum[j] P[x, a, i, j]*V[x, j, a, b]
R[x, i, k] = X[x, i, k] + o[k] + sum[a, b] C[x, i, a, b]*Wo[a, b, k]
L = layer_norm(R)
F = dense(L, f, gelu)
D = dense(F, d)
Y = R + D
minimize mse(T, Y)
optimizer sgd(lr={rate})
output Y
"""


@dataclass(frozen=True)
class Transformer(Workload):
    """Sequences of ``length`` vectors, each of as many heads as ``heads`` times ``each`` numbers."""

    _: KW_ONLY
    length: int = 32
    heads: int = 4
    each: int = 16

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self.heads * self.each

    @property
    def title(self) -> str:
        return f"transformer block, d {self.width}, {self.heads} heads, sequence {self.length}, batch {self.batch}"

    @property
    def parameters(self) -> int:
        d = self.width
        return 4 * d * d + d + 4 * d + 8 * d * d + 5 * d

    @property
    def flops(self) -> int:
        """Those of twelve products with d×d weights and two of attention, forwards and twice backwards."""
        rows = self.batch * self.length
        return 2 * rows * 3 * (12 * self.width**2 + 2 * self.width * self.length)

    def model(self) -> str:
        sizes = {"each": self.each, "heads": self.heads, "length": self.length}
        return _MODEL.format(name=self.name, rate=self.rate, **sizes)

    def data(self, dtype: str, steps: int) -> Arrays:
        rng = np.random.default_rng(1)
        shape = (steps * self.batch, self.length, self.width)
        return {k: rng.standard_normal(shape).astype(dtype) for k in ("X", "T")}

    def in_jax(self, jax: Any) -> dict[str, Form]:
        jnp = jax.numpy

        def norm(a: Any, g: Any, b: Any) -> Any:
            a = a - a.mean(-1, keepdims=True)
            return g * a * jax.lax.rsqrt((a * a).mean(-1, keepdims=True) + 1e-5) + b

        def by_einsum(q: Any, k: Any, v: Any) -> Any:
            scores = jnp.einsum("nqhe,nkhe->nhqk", q, k) / self.each**0.5
            return jnp.einsum("nhqk,nkhe->nqhe", jax.nn.softmax(scores), v)

        def loss(attention: Any) -> Any:
            def of(p: Any, piece: Any) -> Any:
                x = piece["X"]
                qkv = norm(x, p["N_g"], p["N_b"]) @ p["W"]
                q, k, v = (a.reshape(*x.shape[:2], self.heads, self.each) for a in jnp.split(qkv, 3, axis=-1))
                r = x + p["o"] + attention(q, k, v).reshape(x.shape) @ p["Wo"]
                f = jax.nn.gelu(norm(r, p["L_g"], p["L_b"]) @ p["F_W"] + p["F_b"], approximate=False)
                return jnp.mean((r + f @ p["D_W"] + p["D_b"] - piece["T"]) ** 2)

            return of

        how: dict[str, Any] = {"start": self._joined, "found": self._apart}
        forms = {"einsum": Form(loss(by_einsum), **how)}
        if not jax.config.jax_enable_x64:  # its softmax is one of float32, whatever it is given
            forms["dot_product_attention"] = Form(loss(jax.nn.dot_product_attention), **how)
        return forms

    def in_torch(self, torch: Any) -> dict[str, Form]:
        functional = torch.nn.functional

        def loss(p: Any, piece: Any) -> Any:
            x, d = piece["X"], self.width
            qkv = functional.layer_norm(x, (d,), p["N_g"], p["N_b"]) @ p["W"]
            q, k, v = qkv.view(*x.shape[:2], 3, self.heads, self.each).permute(2, 0, 3, 1, 4)
            c = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            r = x + p["o"] + c @ p["Wo"]
            m = functional.layer_norm(r, (d,), p["L_g"], p["L_b"]).view(-1, d)
            f = functional.gelu(torch.addmm(p["F_b"], m, p["F_W"]))
            return functional.mse_loss(r + torch.addmm(p["D_b"], f, p["D_W"]).view(x.shape), piece["T"])

        return {"": Form(loss, start=self._joined, found=self._apart)}

    def _joined(self, p: Arrays) -> Arrays:
        d = self.width
        kept = {k: a for k, a in p.items() if k not in ("Wq", "Wk", "Wv", "Wo")}
        together = np.concatenate([p[k].reshape(d, d) for k in ("Wq", "Wk", "Wv")], axis=1)
        return kept | {"W": together, "Wo": p["Wo"].reshape(d, d)}

    def _apart(self, p: Arrays) -> Arrays:
        kept = {k: a for k, a in p.items() if k not in ("W", "Wo")}
        parts = zip(("Wq", "Wk", "Wv"), np.split(np.asarray(p["W"]), 3, axis=1), strict=True)
        shape = (self.width, self.heads, self.each)
        return kept | {k: a.reshape(shape) for k, a in parts} | {"Wo": np.asarray(p["Wo"]).reshape(*shape[1:], -1)}
