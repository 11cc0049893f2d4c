"""What is timed: dense networks by their widths, the model file, the data and the start that all peers share.

In: a name. Out: a `Workload`, whose model gradc reads and whose numbers the peers are given. Every peer computes
the same steps from the same weights on the same mini-batches, so that the weights after an epoch can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Workload:
    """A dense network and how it is trained.

    ``activation`` is relu or tanh, ``loss`` cross_entropy (after a softmax) or mse, ``optimizer`` sgd or adam;
    ``least`` is the ratio of the strongest peer's time to gradc's that is asked for in float32 on one thread.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    activation: str = "relu"
    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    rate: float = 0.01
    least: float | None = None

    @property
    def layers(self) -> range:
        """The layers, counted from 1."""
        return range(1, len(self.widths))

    @property
    def flops(self) -> int:
        """Operations of the matrix products of one step; the first layer has no gradient by its input."""
        products = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def model(self) -> str:
        """The model file.

        >>> print(Workload("tiny", (5, 3), 7, loss="mse").model())
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

    def data(self, dtype: str, steps: int) -> tuple[Array, Array]:
        """Samples and targets of so many mini-batches: X [steps·n, d0] and Y [steps·n, d_last]."""
        rng = np.random.default_rng(1)
        count = steps * self.batch
        x = rng.standard_normal((count, self.widths[0])).astype(dtype)
        if self.loss == "cross_entropy":
            return x, np.eye(self.widths[-1], dtype=dtype)[rng.integers(0, self.widths[-1], count)]
        return x, rng.standard_normal((count, self.widths[-1])).astype(dtype)


WORKLOADS = {
    w.name: w
    for w in (
        Workload("A32", (784, 128, 10), 32, least=1.4),
        Workload("A128", (784, 128, 10), 128, least=1.15),
        Workload("A512", (784, 128, 10), 512, least=1.05),
        Workload("A128_adam", (784, 128, 10), 128, optimizer="adam", rate=1e-3, least=1.25),
        Workload("B100", (784, 10, 10), 100, least=2.8),
        Workload("C16", (64, 32, 10), 16, least=4.0),
        Workload("C64", (64, 32, 10), 64, least=2.2),
        Workload("D32", (2, 16, 16, 1), 32, "tanh", "mse", least=5.0),
        Workload("E256", (10, 64, 64, 1), 256, "tanh", "mse", least=1.2),
        Workload("F128", (784, 512, 512, 10), 128, least=1.2),
        Workload("G256", (1024, 1024, 1024, 1024, 1024, 10), 256, least=0.98),
        Workload("other_93_47_7", (93, 47, 7), 32, least=2.2),
        Workload("other_300_100_10", (300, 100, 10), 64, least=1.15),
        Workload("other_12_24_24_3", (12, 24, 24, 3), 32, "tanh", "mse", least=4.0),
    )
}
