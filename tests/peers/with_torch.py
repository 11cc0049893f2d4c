"""The catalogue in PyTorch: its own function where there is one, else the mathematics in its arrays.

A function of a vector, a loss of its arguments, a layer of its input and of a dictionary of parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

Array = Any
xp = torch

SAME = "exp log sin cos tan sinh cosh tanh asin acos atan erf log1p expm1 sqrt abs sign sigmoid"
SAME_NN = "softplus softsign relu leaky_relu elu selu silu mish tanhshrink gelu"
FUNCTIONS: dict[str, Callable[..., Array]] = {
    **{f: getattr(torch, f) for f in SAME.split()},
    **{f: getattr(F, f) for f in SAME_NN.split()},
    "log_sigmoid": F.logsigmoid,
    "hard_tanh": F.hardtanh,
    "hard_sigmoid": lambda z: F.relu6(z + 3) / 6,  # F.hardsigmoid has a slope of 1/6 as a float32
    "hard_swish": F.hardswish,
    "squared_relu": lambda z: F.relu(z) ** 2,
    "xlogx": lambda p: torch.special.xlogy(p, p),
    "prelu": lambda z, a: F.prelu(z, torch.tensor([float(a)])),
    "clip": torch.clamp,
    "identity": lambda z: z,
}

LOSSES: dict[str, Callable[..., Array]] = {
    "mse": lambda y, p: F.mse_loss(p, y),
    "mae": lambda y, p: F.l1_loss(p, y),
    "huber": lambda y, p, delta: F.huber_loss(p, y, delta=delta),
    "poisson_nll": lambda y, s: F.poisson_nll_loss(s, y, log_input=True, full=False),
    "gaussian_nll": lambda y, mu, log_var: F.gaussian_nll_loss(mu, y, torch.exp(log_var), eps=1e-12),
    "bce": lambda y, p: F.binary_cross_entropy(p, y),
    "cross_entropy": lambda y, p, smoothing: (
        -(((1 - smoothing) * y + smoothing / y.shape[1]) * torch.log(p)).sum(1).mean()
    ),
    "kl": lambda y, p: F.kl_div(torch.log(p), y, reduction="batchmean"),
    "cosine": lambda y, p: 1 - F.cosine_similarity(y, p).mean(),
    "triplet": lambda a, p, n, margin: F.triplet_margin_with_distance_loss(
        a, p, n, margin=margin, distance_function=lambda u, v: ((u - v) ** 2).sum(1)
    ),
    "info_nce": lambda a, b, t: F.cross_entropy(a @ b.T / t, torch.arange(len(a))),
    "l1": lambda w: torch.linalg.vector_norm(w, 1),
    "l2": lambda w: torch.linalg.vector_norm(w, 2) ** 2,
}

# Losses of scores, of which the softmax is a part.
FROM_SCORES: dict[str, Callable[..., Array]] = {
    "cross_entropy": lambda y, z, smoothing: F.cross_entropy(z, y, label_smoothing=smoothing),
}


def softmax(x: Array, axis: int) -> Array:
    return torch.softmax(x, axis)


def largest(x: Array, axis: int) -> Array:
    return torch.amax(x, axis)


def dense(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(F.linear(v["x"], v["y_W"].T, v.get("y_b")))


def embedding(v: Mapping[str, Array]) -> Array:
    return F.embedding(v["t"], v["y_E"])


def conv1d(v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1) -> Array:
    return f(F.conv1d(v["x"], v["y_W"], v["y_b"], stride, pad, dilation))


def conv2d(v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1) -> Array:
    return f(F.conv2d(v["x"], v["y_W"], v["y_b"], stride, pad, dilation))


def grouped_conv2d(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(F.conv2d(v["x"], v["y_W"].flatten(0, 1), v["y_b"], groups=len(v["y_W"])))


def depthwise_conv2d(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(F.conv2d(v["x"], v["y_W"][:, None], v["y_b"], groups=len(v["y_W"])))


def conv_transpose1d(
    v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1
) -> Array:
    return f(F.conv_transpose1d(v["x"], v["y_W"], v["y_b"], stride, pad, dilation=dilation))


def conv_transpose2d(
    v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1
) -> Array:
    return f(F.conv_transpose2d(v["x"], v["y_W"], v["y_b"], stride, pad, dilation=dilation))


def max_pool1d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return F.max_pool1d(v["x"], k, stride)


def max_pool2d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return F.max_pool2d(v["x"], k, stride)


def avg_pool1d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return F.avg_pool1d(v["x"], k, stride)


def avg_pool2d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return F.avg_pool2d(v["x"], k, stride)


def layer_norm(v: Mapping[str, Array]) -> Array:
    return F.layer_norm(v["x"], v["x"].shape[-1:], v.get("y_g"), v.get("y_b"), 1e-5)


def rms_norm(v: Mapping[str, Array], eps: float = 1e-6) -> Array:
    return F.rms_norm(v["x"], v["x"].shape[-1:], v["y_g"], eps)


def batch_norm(v: Mapping[str, Array]) -> Array:
    return F.batch_norm(v["x"], None, None, v["y_g"], v["y_b"], training=True, eps=1e-5)


def instance_norm(v: Mapping[str, Array]) -> Array:
    return F.instance_norm(v["x"], weight=v["y_g"], bias=v["y_b"], eps=1e-5)


def group_norm(v: Mapping[str, Array]) -> Array:
    return F.group_norm(v["x"], 2, v["y_g"], v["y_b"], 1e-5)


def attention(v: Mapping[str, Array], causal: int = 0) -> Array:
    return F.scaled_dot_product_attention(v["q"], v["k"], v["v"], is_causal=bool(causal))


def value_and_gradients(
    objective: Callable[[dict[str, Array]], Array], values: Mapping[str, np.ndarray], wrt: list[str]
) -> tuple[float, dict[str, np.ndarray]]:
    """By autograd."""
    given = {k: torch.tensor(a) for k, a in values.items()}
    for name in wrt:
        given[name].requires_grad_()
    loss = objective(given)
    found = torch.autograd.grad(loss, [given[name] for name in wrt], allow_unused=True)
    return float(loss), {
        name: np.zeros(values[name].shape) if g is None else g.numpy() for name, g in zip(wrt, found, strict=True)
    }
