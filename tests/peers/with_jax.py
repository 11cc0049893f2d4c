"""The catalogue in JAX: its own function where there is one, else the mathematics; see `with_torch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

jax.config.update("jax_enable_x64", True)

Array = Any
xp = jnp

SAME = "exp log sin cos tan sinh cosh tanh log1p expm1 sqrt abs sign"
SAME_NN = "sigmoid log_sigmoid softplus relu leaky_relu elu selu silu mish hard_tanh hard_sigmoid hard_swish"
FUNCTIONS: dict[str, Callable[..., Array]] = {
    **{f: getattr(jnp, f) for f in SAME.split()},
    **{f: getattr(jax.nn, f) for f in SAME_NN.split()},
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "erf": jax.scipy.special.erf,
    "softsign": jax.nn.soft_sign,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "tanhshrink": lambda z: z - jnp.tanh(z),
    "squared_relu": lambda z: jnp.square(jax.nn.relu(z)),
    "xlogx": lambda p: -jax.scipy.special.entr(p),
    "prelu": lambda z, a: jax.nn.leaky_relu(z, a),
    "clip": jnp.clip,
    "identity": lambda z: z,
}

LOSSES: dict[str, Callable[..., Array]] = {
    "mse": lambda y, p: jnp.mean(jnp.square(y - p)),
    "mae": lambda y, p: jnp.mean(jnp.abs(y - p)),
    "huber": lambda y, p, delta: jnp.mean(
        jnp.where(jnp.abs(y - p) < delta, jnp.square(y - p) / 2, delta * jnp.abs(y - p) - delta**2 / 2)
    ),
    "poisson_nll": lambda y, s: jnp.mean(jnp.exp(s) - y * s),
    "gaussian_nll": lambda y, mu, log_var: jnp.mean(log_var / 2 + jnp.square(y - mu) / (2 * jnp.exp(log_var))),
    "bce": lambda y, p: -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log1p(-p)),
    "cross_entropy": lambda y, p, smoothing: (
        -jnp.mean(jnp.sum(((1 - smoothing) * y + smoothing / y.shape[1]) * jnp.log(p), axis=1))
    ),
    "kl": lambda y, p: jnp.mean(jnp.sum(jax.scipy.special.rel_entr(y, p), axis=1)),
    "cosine": lambda y, p: 1 - jnp.mean(jnp.sum(y * p, 1) / jnp.linalg.norm(y, axis=1) / jnp.linalg.norm(p, axis=1)),
    "triplet": lambda a, p, n, margin: jnp.mean(
        jax.nn.relu(jnp.sum(jnp.square(a - p), 1) - jnp.sum(jnp.square(a - n), 1) + margin)
    ),
    "info_nce": lambda a, b, t: -jnp.mean(jnp.diagonal(jax.nn.log_softmax(a @ b.T / t, axis=1))),
    "l1": lambda w: jnp.sum(jnp.abs(w)),
    "l2": lambda w: jnp.vdot(w, w),
}

FROM_SCORES: dict[str, Callable[..., Array]] = {
    "cross_entropy": lambda y, z, smoothing: (
        -jnp.mean(jnp.sum(((1 - smoothing) * y + smoothing / y.shape[1]) * jax.nn.log_softmax(z, axis=1), axis=1))
    ),
}


def softmax(x: Array, axis: int) -> Array:
    return jax.nn.softmax(x, axis)


def largest(x: Array, axis: int) -> Array:
    return jnp.max(x, axis)


def dense(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(v["x"] @ v["y_W"] + v.get("y_b", 0))


def embedding(v: Mapping[str, Array]) -> Array:
    return jnp.take(v["y_E"], v["t"], axis=0)


def _convolved(v: Mapping[str, Array], stride: int, pad: int, dilation: int) -> Array:
    rank = v["x"].ndim - 2
    found = lax.conv_general_dilated(
        v["x"], v["y_W"], (stride,) * rank, ((pad, pad),) * rank, rhs_dilation=(dilation,) * rank
    )
    return found + v["y_b"].reshape(-1, *(1,) * rank)


def conv1d(v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1) -> Array:
    return f(_convolved(v, stride, pad, dilation))


conv2d = conv1d


def _in_groups(v: Mapping[str, Array], kernel: Array, groups: int) -> Array:
    found = lax.conv_general_dilated(v["x"], kernel, (1, 1), "VALID", feature_group_count=groups)
    return found + v["y_b"].reshape(-1, 1, 1)


def grouped_conv2d(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(_in_groups(v, v["y_W"].reshape(-1, *v["y_W"].shape[2:]), len(v["y_W"])))


def depthwise_conv2d(v: Mapping[str, Array], f: Callable[..., Array]) -> Array:
    return f(_in_groups(v, v["y_W"][:, None], len(v["y_W"])))


def conv_transpose1d(
    v: Mapping[str, Array], f: Callable[..., Array], stride: int = 1, pad: int = 0, dilation: int = 1
) -> Array:
    """A convolution of the spread input with the flipped kernel, its channels exchanged."""
    rank, k = v["x"].ndim - 2, v["y_W"].shape[-1]
    flipped = jnp.flip(jnp.swapaxes(v["y_W"], 0, 1), tuple(range(2, 2 + rank)))
    border = dilation * (k - 1) - pad
    found = lax.conv_general_dilated(
        v["x"],
        flipped,
        (1,) * rank,
        ((border, border),) * rank,
        lhs_dilation=(stride,) * rank,
        rhs_dilation=(dilation,) * rank,
    )
    return f(found + v["y_b"].reshape(-1, *(1,) * rank))


conv_transpose2d = conv_transpose1d


def _windows(x: Array, rank: int, k: int, stride: int | None, start: float, gather: Any) -> Array:
    ones = (1,) * (x.ndim - rank)
    return lax.reduce_window(x, start, gather, (*ones, *(k,) * rank), (*ones, *(stride or k,) * rank), "VALID")


def max_pool1d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return _windows(v["x"], 1, k, stride, -jnp.inf, lax.max)


def max_pool2d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return _windows(v["x"], 2, k, stride, -jnp.inf, lax.max)


def avg_pool1d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return _windows(v["x"], 1, k, stride, 0.0, lax.add) / k


def avg_pool2d(v: Mapping[str, Array], k: int = 2, stride: int | None = None) -> Array:
    return _windows(v["x"], 2, k, stride, 0.0, lax.add) / k**2


def layer_norm(v: Mapping[str, Array]) -> Array:
    return v.get("y_g", 1) * jax.nn.standardize(v["x"], axis=-1, epsilon=1e-5) + v.get("y_b", 0)


def rms_norm(v: Mapping[str, Array], eps: float = 1e-6) -> Array:
    return v["y_g"] * v["x"] * lax.rsqrt(jnp.mean(jnp.square(v["x"]), axis=-1, keepdims=True) + eps)


def _channels(x: Array, v: Mapping[str, Array]) -> Array:
    shape = (-1, *(1,) * (x.ndim - 2))
    return v["y_g"].reshape(shape) * x + v["y_b"].reshape(shape)


def batch_norm(v: Mapping[str, Array]) -> Array:
    axes = (0, *range(2, v["x"].ndim))
    return _channels(jax.nn.standardize(v["x"], axis=axes, epsilon=1e-5), v)


def instance_norm(v: Mapping[str, Array]) -> Array:
    return _channels(jax.nn.standardize(v["x"], axis=tuple(range(2, v["x"].ndim)), epsilon=1e-5), v)


def group_norm(v: Mapping[str, Array]) -> Array:
    x = v["x"].reshape(len(v["x"]), 2, -1)
    return _channels(jax.nn.standardize(x, axis=-1, epsilon=1e-5).reshape(v["x"].shape), v)


def attention(v: Mapping[str, Array], causal: int = 0) -> Array:
    scores = jnp.einsum("...ic,...jc->...ij", v["q"], v["k"]) / jnp.sqrt(v["q"].shape[-1])
    seen = jnp.tril(jnp.ones(scores.shape[-2:], bool)) if causal else None
    return jnp.einsum("...ij,...jc->...ic", jax.nn.softmax(scores, axis=-1, where=seen), v["v"])


def value_and_gradients(
    objective: Callable[[dict[str, Array]], Array], values: Mapping[str, np.ndarray], wrt: list[str]
) -> tuple[float, dict[str, np.ndarray]]:
    """By `jax.value_and_grad`."""
    rest = {k: jnp.asarray(a) for k, a in values.items() if k not in wrt}
    loss, found = jax.value_and_grad(lambda p: objective({**rest, **p}))({k: jnp.asarray(values[k]) for k in wrt})
    return float(loss), {name: np.asarray(g) for name, g in found.items()}
