"""What neither library has as one function, from their elementary ones; and models of several layers.

In: a library, `with_torch` or `with_jax`, and values by the names of a model. Out: the number that the model minimizes,
or the result of a layer. Nothing here is read off gradc's declarations: these are textbook formulas for arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Array = Any
Values = Mapping[str, Array]


def losses(lib: Any) -> dict[str, Callable[..., Array]]:
    """Losses that no library has, or has otherwise."""
    xp, relu = lib.xp, lib.FUNCTIONS["relu"]

    def focal(y: Array, p: Array, gamma: float) -> Array:
        log_q = (y * xp.log(p)).sum(1)
        return (-((1 - xp.exp(log_q)) ** gamma) * log_q).mean()

    def js(y: Array, p: Array) -> Array:
        m = (y + p) / 2
        return ((y * xp.log(y / m) + p * xp.log(p / m)).sum(1) / 2).mean()

    def contrastive(y: Array, a: Array, b: Array, margin: float) -> Array:
        far = xp.sqrt(((a - b) ** 2).sum(1))
        return ((y * far**2 + (1 - y) * relu(margin - far) ** 2) / 2).mean()

    return {
        "log_cosh": lambda y, p: xp.log(xp.cosh(y - p)).mean(),
        "quantile": lambda y, p, tau: xp.maximum(tau * (y - p), (tau - 1) * (y - p)).mean(),
        "hinge": lambda y, s: relu(1 - y * s).mean(),
        "squared_hinge": lambda y, s: (relu(1 - y * s) ** 2).mean(),
        "dice": lambda y, p, eps: 1 - (2 * (y * p).sum() + eps) / (y.sum() + p.sum() + eps),
        "focal": focal,
        "js": js,
        "contrastive": contrastive,
        "elastic_net": lambda w, a, b: a * lib.LOSSES["l1"](w) + b * lib.LOSSES["l2"](w),
    }


def layers(lib: Any) -> dict[str, Callable[..., Any]]:
    """Layers of the catalogue that no library has as one function of arrays; ``v`` is all by its name."""
    xp, functions = lib.xp, lib.FUNCTIONS
    sigmoid, tanh = functions["sigmoid"], functions["tanh"]

    def gate(v: Values, end: str, h: Array) -> Array:
        return v["x"] @ v[f"y_W{end}"] + h @ v[f"y_U{end}"] + v[f"y_b{end}"]

    def lstm_cell(v: Values) -> tuple[Array, Array]:
        i, f, o = (sigmoid(gate(v, end, v["h"])) for end in "ifo")
        c = f * v["c"] + i * tanh(gate(v, "g", v["h"]))
        return o * tanh(c), c

    def gru_cell(v: Values) -> Array:
        stay, reset = sigmoid(gate(v, "s", v["h"])), sigmoid(gate(v, "r", v["h"]))
        return stay * v["h"] + (1 - stay) * tanh(gate(v, "t", reset * v["h"]))

    def heads(v: Values, x: Array, name: str, causal: int) -> Array:
        q, k, u = (xp.einsum("...td,dhw->...htw", x, v[f"{name}_W{end}"]) for end in "qkv")
        return xp.einsum("...htw,hwd->...td", lib.attention({"q": q, "k": k, "v": u}, causal), v[f"{name}_Wo"])

    def transformer_block(v: Values, f: Callable[..., Array] = functions["gelu"], causal: int = 0) -> Array:
        def norm(x: Array, name: str) -> Array:
            return lib.layer_norm({"x": x, "y_g": v[f"{name}_g"], "y_b": v[f"{name}_b"]})

        x = v["x"] + heads(v, norm(v["x"], "y_N"), "y_M", causal) + v["y_M_b"]
        inner = f(norm(x, "y_L") @ v["y_F_W"] + v["y_F_b"])
        return x + inner @ v["y_D_W"] + v["y_D_b"]

    def sinusoidal_positions(v: Values) -> Array:
        t, d = v["x"].shape[-2:]
        place, k = xp.arange(t)[:, None], xp.arange(d)
        sines = place / 10000.0 ** (2 * k[: (d + 1) // 2] / d)
        return v["x"] + xp.concatenate([xp.sin(sines), xp.cos(sines[:, : d // 2])], 1)

    def states(step: Callable[..., Any], v: Values, *memory: str) -> Array:
        """All states of a cell, from zeros on."""
        width = v.get("y_U", v.get("y_Uf", v.get("y_Us"))).shape[0]
        now = {name: xp.zeros((*v["x"].shape[1:-1], width)) for name in ("h", *memory)}
        out = [now["h"]]
        for x in v["x"]:
            found = step({**v, **now, "x": x})
            now = dict(zip(("h", *memory), found if memory else (found,), strict=True))
            out.append(now["h"])
        return xp.stack(out)

    def rnn_cell(v: Values, f: Callable[..., Array] = tanh) -> Array:
        return f(gate(v, "", v["h"]))

    def highway(v: Values, f: Callable[..., Array] = tanh) -> Array:
        t = sigmoid(v["x"] @ v["y_V"] + v["y_c"])
        return t * f(v["x"] @ v["y_W"] + v["y_b"]) + (1 - t) * v["x"]

    return {
        "glu": lambda v, f=sigmoid: (v["x"] @ v["y_W"] + v["y_b"]) * f(v["x"] @ v["y_V"] + v["y_c"]),
        "swiglu": lambda v: (functions["silu"](v["x"] @ v["y_V"]) * (v["x"] @ v["y_W"])) @ v["y_U"],
        "maxout": lambda v: lib.largest(xp.einsum("nd,pdh->nph", v["x"], v["y_W"]) + v["y_b"], 1),
        "residual": lambda v, f: v["x"] + f(v["x"]),
        "highway": highway,
        "global_max_pool1d": lambda v: lib.largest(v["x"], -1),
        "global_max_pool2d": lambda v: lib.largest(v["x"], (-2, -1)),
        "global_avg_pool1d": lambda v: v["x"].mean(-1),
        "global_avg_pool2d": lambda v: v["x"].mean((-2, -1)),
        "multi_head_attention": lambda v, causal=0: heads(v, v["x"], "y", causal) + v["y_b"],
        "transformer_block": transformer_block,
        "learned_positions": lambda v: v["x"] + v["y_P"],
        "sinusoidal_positions": sinusoidal_positions,
        "dropout": lambda v, p=0.5: v["x"] * v["y_M"] / (1 - p),
        "gaussian_noise": lambda v: v["x"] + v["y_M"],
        "rnn_cell": rnn_cell,
        "lstm_cell": lstm_cell,
        "gru_cell": gru_cell,
        "rnn": lambda v: states(rnn_cell, v),
        "lstm": lambda v: states(lstm_cell, v, "c"),
        "gru": lambda v: states(gru_cell, v),
        "flat_dense": lambda v, f: f(
            v["x"].reshape(len(v["x"]), -1) @ v["y_W"].reshape(-1, v["y_b"].shape[0]) + v["y_b"]
        ),
    }


def cross_entropy(lib: Any, labels: Array, p: Array) -> Array:
    """The mean of −log of the probability of the right class; ``labels`` are class numbers."""
    classes = lib.xp.arange(p.shape[-1])
    return -(lib.xp.log(p) * (labels[..., None] == classes)).sum(-1).mean()


def zoo(lib: Any) -> dict[str, Callable[[Values], Array]]:
    """Whole models, by the names of their files."""
    xp, functions = lib.xp, lib.FUNCTIONS
    relu, identity, sigmoid = functions["relu"], functions["identity"], functions["sigmoid"]

    def conv2d(v: Values) -> Array:
        out = lib.conv2d({"x": v["X"] * v["U"], "y_W": v["W"], "y_b": v["b"]}, identity)
        return (v["G"] * out**2).sum() / len(v["X"])

    def pool_max(v: Values) -> Array:
        return (lib.max_pool2d({"x": v["X"] * v["S"]}, 2) ** 2).sum() / len(v["X"])

    def layer_norm(v: Values) -> Array:
        return (v["G"] * lib.layer_norm({"x": v["X"], "y_g": v["g"], "y_b": v["b"]})).sum()

    def attention(v: Values) -> Array:
        return (v["G"] * (lib.softmax(v["Q"] @ v["K"].T, 1) @ v["V"])).sum()

    def lenet(v: Values) -> Array:
        r = (v["C1_W"].shape[-1] - 1) // 2
        x = lib.conv2d({"x": v["X"], "y_W": v["C1_W"], "y_b": v["C1_b"]}, relu, pad=r)
        x = lib.max_pool2d({"x": x}, 2)
        x = lib.conv2d({"x": x, "y_W": v["C2_W"], "y_b": v["C2_b"]}, relu)
        x = lib.max_pool2d({"x": x}, 2).reshape(len(x), -1)
        x = relu(relu(x @ v["D1_W"] + v["D1_b"]) @ v["D2_W"] + v["D2_b"])
        return lib.FROM_SCORES["cross_entropy"](v["Y"], x @ v["S_W"] + v["S_b"], 0.1)

    def factorization(v: Values) -> Array:
        p = v["a"][v["i"]] + v["b"][v["j"]] + (v["U"][v["i"]] * v["V"][v["j"]]).sum(1)
        return ((v["y"] - p) ** 2).mean() + 1e-4 * ((v["U"] ** 2).sum() + (v["V"] ** 2).sum())

    def char_transformer(v: Values) -> Array:
        x = lib.embedding({"t": v["t"], "y_E": v["E"]}) + v["R"]
        for k in ("1", "2"):
            n = lib.rms_norm({"x": x, "y_g": v["g" + k]}, 1e-5)
            q, key, u = (xp.einsum("xik,kab->xaib", n, v[f"W{end}{k}"]) for end in "qkv")
            x = x + xp.einsum("xaib,abk->xik", lib.attention({"q": q, "k": key, "v": u}, 1), v["Wo" + k])
            m = lib.rms_norm({"x": x, "y_g": v["r" + k]}, 1e-5)
            x = x + relu(m @ v["U" + k] + v["b" + k]) @ v["D" + k]
        return cross_entropy(lib, v["y"], lib.softmax(x @ v["W"] + v["o"], 2))

    def char_gru(v: Values) -> Array:
        h, total = 0 * v["Wz"][v["t"][0]], 0
        for t, y in zip(v["t"], v["y"], strict=True):
            z = sigmoid(v["Wz"][t] + h @ v["Uz"])
            r = sigmoid(v["Wr"][t] + h @ v["Ur"])
            h = z * h + (1 - z) * functions["tanh"](v["Wg"][t] + (r * h) @ v["Ug"])
            total = total + cross_entropy(lib, y, lib.softmax(h @ v["V"] + v["b"], 1))
        return total / len(v["t"])

    return {f.__name__: f for f in (conv2d, pool_max, layer_norm, attention)} | {
        f"example_{f.__name__}": f for f in (lenet, factorization, char_transformer, char_gru)
    }
