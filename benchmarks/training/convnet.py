"""A convolutional network for images of 28 by 28: two convolutions with rectifier and pooling, and a dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.training.workload import Array, Arrays, Form, Workload, labelled, one_hot

_MODEL = """model {name}
dims c = 10
batch n
input X : [n, 1, 28, 28]
target Y : [n, c] one_hot
C1 = conv2d(X, 8, 5, relu)
P1 = max_pool2d(C1, 2)
C2 = conv2d(P1, 16, 5, relu)
P2 = max_pool2d(C2, 2)
S = flat_dense(P2, c)
P = softmax(S, axis=1)
minimize cross_entropy(Y, P)
optimizer sgd(lr={rate})
output P
"""


@dataclass(frozen=True)
class Convnet(Workload):
    """1×28×28, 8 channels by 5×5, 16 channels by 5×5, 10 classes."""

    @property
    def title(self) -> str:
        return f"convnet 28×28, 8 and 16 channels by 5×5, batch {self.batch}"

    @property
    def parameters(self) -> int:
        return 8 * 26 + 16 * 201 + 10 * 257

    @property
    def flops(self) -> int:
        first, second, dense = 24 * 24 * 8 * 25, 8 * 8 * 16 * 200, 256 * 10
        return 2 * self.batch * (2 * first + 3 * second + 3 * dense)

    def model(self) -> str:
        return _MODEL.format(name=self.name, rate=self.rate)

    def data(self, dtype: str, steps: int) -> Arrays:
        rng = np.random.default_rng(1)
        count = steps * self.batch
        return {
            "X": rng.standard_normal((count, 1, 28, 28)).astype(dtype),
            "Y": one_hot(rng, count, 10, dtype),
        }

    def in_jax(self, jax: Any) -> dict[str, Form]:
        """Both layouts; pooling by windows, and by a maximum over axes of two, which differentiates to simpler code."""
        jnp, lax = jax.numpy, jax.lax

        def windows(a: Any, places: tuple[int, int]) -> Any:
            window = tuple(2 if k in places else 1 for k in range(4))
            return lax.reduce_window(a, -jnp.inf, lax.max, window, window, "VALID")

        def reshaped(a: Any, places: tuple[int, int]) -> Any:
            h, w = places
            pairs = (*a.shape[:h], a.shape[h] // 2, 2, a.shape[w] // 2, 2, *a.shape[w + 1 :])
            return a.reshape(pairs).max((h + 1, w + 2))

        def form(layout: str, pool: Any) -> Any:
            places = (layout.index("H"), layout.index("W"))
            numbers = (layout, "OIHW" if layout == "NCHW" else "HWIO", layout)

            def loss(p: Any, piece: Any) -> Any:
                a = piece["X"]
                for k in (1, 2):
                    bias = p[f"C{k}_b"] if layout == "NHWC" else p[f"C{k}_b"][:, None, None]
                    a = lax.conv_general_dilated(a, p[f"C{k}_W"], (1, 1), "VALID", dimension_numbers=numbers)
                    a = pool(jax.nn.relu(a + bias), places)
                a = a.reshape(len(a), -1) @ p["S_W"].reshape(256, 10) + p["S_b"]
                return -jnp.mean(jnp.sum(piece["Y"] * jax.nn.log_softmax(a), axis=1))

            return loss

        last: dict[str, Any] = {
            "data": lambda piece: piece | {"X": _turned(piece["X"], (0, 2, 3, 1))},
            "start": lambda p: p | _each(p, (2, 3, 1, 0), (1, 2, 0, 3)),
            "found": lambda p: p | _each(p, (3, 2, 0, 1), (2, 0, 1, 3)),
        }
        return {
            "NCHW": Form(form("NCHW", windows)),
            "NHWC": Form(form("NHWC", windows), **last),
            "NCHW, pooling by reshape": Form(form("NCHW", reshaped)),
            "NHWC, pooling by reshape": Form(form("NHWC", reshaped), **last),
        }

    def in_torch(self, torch: Any) -> dict[str, Form]:
        functional = torch.nn.functional

        def loss(p: Any, piece: Any) -> Any:
            a = piece["X"]
            for k in (1, 2):
                a = functional.max_pool2d(torch.relu(functional.conv2d(a, p[f"C{k}_W"], p[f"C{k}_b"])), 2)
            a = torch.addmm(p["S_b"], a.flatten(1), p["S_W"].view(256, 10))
            return functional.cross_entropy(a, piece["Y"])

        def channels_last(arrays: Arrays) -> Arrays:
            """The same axes, with channels next to each other in memory."""
            images = {k: a for k, a in arrays.items() if k in ("X", "C1_W", "C2_W")}
            return arrays | {k: _turned(a, (0, 2, 3, 1)).transpose(0, 3, 1, 2) for k, a in images.items()}

        return {
            "contiguous": Form(loss, data=labelled),
            "channels last": Form(loss, data=lambda piece: channels_last(labelled(piece)), start=channels_last),
        }


def _turned(a: Array, axes: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(a.transpose(axes))


def _each(p: Arrays, kernel: tuple[int, ...], dense: tuple[int, ...]) -> Arrays:
    """Kernels and the weights behind the flattening with their axes in another order."""
    return {k: _turned(np.asarray(p[k]), dense if k == "S_W" else kernel) for k in ("C1_W", "C2_W", "S_W")}
