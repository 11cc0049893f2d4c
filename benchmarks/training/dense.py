"""Dense networks by their widths, with relu or tanh between them, and cross-entropy or mean squares at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from benchmarks.training.workload import Arrays, Form, Workload, labelled, one_hot


@dataclass(frozen=True)
class Dense(Workload):
    """A dense network; ``activation`` is relu or tanh, ``loss`` cross_entropy (after a softmax) or mse."""

    _: KW_ONLY
    widths: tuple[int, ...]
    activation: str = "relu"
    loss: str = "cross_entropy"

    @property
    def layers(self) -> range:
        """The layers, counted from 1."""
        return range(1, len(self.widths))

    @property
    def title(self) -> str:
        adam = ", Adam" if self.optimizer == "adam" else ""
        return f"{'-'.join(map(str, self.widths))} {self.activation}, batch {self.batch}{adam}"

    @property
    def parameters(self) -> int:
        return sum((a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def flops(self) -> int:
        products = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def model(self) -> str:
        """The model file.

        >>> print(Dense("tiny", 7, widths=(5, 3), loss="mse").model())
        model tiny
        dims d0 = 5, d1 = 3
        batch n
        input X : [n, d0]
        target Y : [n, d1]
        param W1 : [d0, d1] ~ glorot_uniform()
        param b1 : [d1]
        Z1 = X @ W1 + b1
        minimize mse(Y, Z1)
        optimizer sgd(lr=0.01)
        output Z1
        <BLANKLINE>
        """
        last = len(self.widths) - 1
        kind = " one_hot" if self.loss == "cross_entropy" else ""
        lines = [f"model {self.name}", "dims " + ", ".join(f"d{k} = {w}" for k, w in enumerate(self.widths)), "batch n"]
        lines += ["input X : [n, d0]", f"target Y : [n, d{last}]{kind}"]
        for k in self.layers:
            lines += [f"param W{k} : [d{k - 1}, d{k}] ~ glorot_uniform()", f"param b{k} : [d{k}]"]
        before = "X"
        for k in self.layers:
            lines.append(f"Z{k} = {before} @ W{k} + b{k}")
            if k < last:
                lines.append(f"A{k} = {self.activation}(Z{k})")
                before = f"A{k}"
        out = f"Z{last}"
        if self.loss == "cross_entropy":
            lines.append(f"P = softmax({out}, axis=1)")
            out = "P"
        lines += [f"minimize {self.loss}(Y, {out})", f"optimizer {self.optimizer}(lr={self.rate})", f"output {out}"]
        return "\n".join(lines) + "\n"

    def data(self, dtype: str, steps: int) -> Arrays:
        rng = np.random.default_rng(1)
        count = steps * self.batch
        x = rng.standard_normal((count, self.widths[0])).astype(dtype)
        if self.loss == "cross_entropy":
            return {"X": x, "Y": one_hot(rng, count, self.widths[-1], dtype)}
        return {"X": x, "Y": rng.standard_normal((count, self.widths[-1])).astype(dtype)}

    def in_jax(self, jax: Any) -> dict[str, Form]:
        jnp, last = jax.numpy, len(self.widths) - 1

        def loss(p: Any, piece: Any) -> Any:
            a, target = piece["X"], piece["Y"]
            for k in self.layers:
                a = a @ p[f"W{k}"] + p[f"b{k}"]
                if k < last:
                    a = jax.nn.relu(a) if self.activation == "relu" else jnp.tanh(a)
            if self.loss == "mse":
                return jnp.mean((a - target) ** 2)
            return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(a), axis=1))

        return {"": Form(loss)}

    def in_torch(self, torch: Any) -> dict[str, Form]:
        functional, last = torch.nn.functional, len(self.widths) - 1

        def loss(p: Any, piece: Any) -> Any:
            a, target = piece["X"], piece["Y"]
            for k in self.layers:
                a = torch.addmm(p[f"b{k}"], a, p[f"W{k}"])
                if k < last:
                    a = torch.relu(a) if self.activation == "relu" else torch.tanh(a)
            return functional.mse_loss(a, target) if self.loss == "mse" else functional.cross_entropy(a, target)

        return {"": Form(loss) if self.loss == "mse" else Form(loss, data=labelled)}

    def in_numpy(self) -> Callable[[Arrays, Arrays], Arrays]:
        """In place where that is quicker."""
        last, n = len(self.widths) - 1, self.batch

        def gradients(p: Arrays, piece: Arrays) -> Arrays:
            a, target = piece["X"], piece["Y"]
            real, values = a.dtype.type, [a]
            for k in self.layers:
                a = a @ p[f"W{k}"]
                a += p[f"b{k}"]
                if k < last:
                    np.maximum(a, 0, out=a) if self.activation == "relu" else np.tanh(a, out=a)
                values.append(a)
            if self.loss == "cross_entropy":
                a -= a.max(axis=1, keepdims=True)
                np.exp(a, out=a)
                a /= a.sum(axis=1, keepdims=True)
            delta = a
            delta -= target
            delta *= real(1 / n if self.loss == "cross_entropy" else 2 / a.size)
            g: Arrays = {}
            for k in reversed(self.layers):
                g[f"W{k}"], g[f"b{k}"] = values[k - 1].T @ delta, delta.sum(axis=0)
                if k > 1:
                    delta = delta @ p[f"W{k}"].T
                    above = values[k - 1]
                    delta *= above > 0 if self.activation == "relu" else 1 - above * above
            return g

        return gradients
