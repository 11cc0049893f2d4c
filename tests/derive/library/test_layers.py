"""Layers: their values against NumPy, their gradients as textbooks have them, proved by the normal form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from layer_models import layer_model

import derive
from derive.claims import verify_formulas
from derive.language.definitions import layer
from derive.library.layers import LAYERS

RNG = np.random.default_rng(11)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def normal(x, axes, eps=1e-5):
    mu = x.mean(axis=axes, keepdims=True)
    return (x - mu) / np.sqrt(((x - mu) ** 2).mean(axis=axes, keepdims=True) + eps)


def conv(x, w, stride=1, pad=0, dilation=1):
    """The correlation over all axes but the first two, summed window by window."""
    places = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(pad, pad)] * places])
    k = w.shape[2]
    sizes = [(n - dilation * (k - 1) - 1) // stride + 1 for n in x.shape[2:]]
    y = np.zeros((x.shape[0], w.shape[0], *sizes))
    for at in np.ndindex(*sizes):
        window = tuple(slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation) for i in at)
        y[(..., *at)] = x[(slice(None), slice(None), *window)].reshape(len(x), -1) @ w.reshape(len(w), -1).T
    return y


def conv_transpose(x, w, stride=1, pad=0, dilation=1):
    """Every place spreads the kernel over its window; then the border is cut off."""
    k = w.shape[2]
    sizes = [stride * (n - 1) + dilation * (k - 1) + 1 for n in x.shape[2:]]
    y = np.zeros((x.shape[0], w.shape[1], *sizes))
    for at in np.ndindex(*x.shape[2:]):
        window = tuple(slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation) for i in at)
        y[(slice(None), slice(None), *window)] += np.einsum("nc,co...->no...", x[(..., *at)], w)
    return y[(slice(None), slice(None), *[slice(pad, n - pad) for n in sizes])]


def pool(x, reduce, k, stride, places):
    sizes = [(n - k) // stride + 1 for n in x.shape[-places:]]
    y = np.zeros((*x.shape[:-places], *sizes))
    for at in np.ndindex(*sizes):
        window = tuple(slice(i * stride, i * stride + k) for i in at)
        y[(..., *at)] = reduce(x[(..., *window)], axis=tuple(range(-places, 0)))
    return y


def along(b):
    """A number for each channel, along the second axis."""
    return lambda z: z + b.reshape(-1, *[1] * (z.ndim - 2))


def causal(s):
    return np.where(np.tril(np.ones(s.shape[-2:])) > 0, s, -np.inf)


def attend(q, k, v, mask=lambda s: s):
    return softmax(mask(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))) @ v


def heads(x, p, mask=lambda s: s, stem="y_"):
    q, k, v = (np.einsum("nik,khc->nhic", x, p[f"{stem}W{which}"]) for which in "qkv")
    return np.einsum("nhic,hck->nik", attend(q, k, v, mask), p[f"{stem}Wo"]) + p[f"{stem}b"]


def lstm(p):
    z = {g: p["x"] @ p[f"y_W{g}"] + p["h"] @ p[f"y_U{g}"] + p[f"y_b{g}"] for g in "ifgo"}
    c = sigmoid(z["f"]) * p["c"] + sigmoid(z["i"]) * np.tanh(z["g"])
    return sigmoid(z["o"]) * np.tanh(c)


def gru(p):
    s, r = (sigmoid(p["x"] @ p[f"y_W{g}"] + p["h"] @ p[f"y_U{g}"] + p[f"y_b{g}"]) for g in "sr")
    return s * p["h"] + (1 - s) * np.tanh(p["x"] @ p["y_Wt"] + (r * p["h"]) @ p["y_Ut"] + p["y_bt"])


def positions(x):
    t, d = x.shape[-2:]
    half = (d + 1) // 2
    waves = np.arange(t)[:, None] / 10000 ** (2 * np.arange(half) / d)
    return x + np.concatenate([np.sin(waves), np.cos(waves[:, : d // 2])], axis=1)


def block(p):
    def scaled(z, name):
        return normal(z, -1) * p[f"y_{name}_g"] + p[f"y_{name}_b"]

    r = p["x"] + heads(scaled(p["x"], "N"), p, stem="y_M_")
    f = scaled(r, "L") @ p["y_F_W"] + p["y_F_b"]
    return r + f * (1 + np.vectorize(math.erf)(f / np.sqrt(2))) / 2 @ p["y_D_W"] + p["y_D_b"]


def highway(p):
    t = sigmoid(p["x"] @ p["y_V"] + p["y_c"])
    return t * np.tanh(p["x"] @ p["y_W"] + p["y_b"]) + (1 - t) * p["x"]


def over_time(p, step, *states):
    """The states of a recurrent layer, the first of them zero; ``step`` gives the next ones."""
    states = tuple(np.zeros((p["x"].shape[1], len(p[b]))) for b in states)
    found = [states[0]]
    for x in p["x"]:
        states = step(x, *states)
        found.append(states[0])
    return np.stack(found)


def gate(p, g, x, h):
    return x @ p[f"y_W{g}"] + h @ p[f"y_U{g}"] + p[f"y_b{g}"]


def lstm_step(p):
    def step(x, h, c):
        c = sigmoid(gate(p, "f", x, h)) * c + sigmoid(gate(p, "i", x, h)) * np.tanh(gate(p, "g", x, h))
        return sigmoid(gate(p, "o", x, h)) * np.tanh(c), c

    return step


def gru_step(p):
    def step(x, h):
        s, r = sigmoid(gate(p, "s", x, h)), sigmoid(gate(p, "r", x, h))
        return (s * h + (1 - s) * np.tanh(x @ p["y_Wt"] + (r * h) @ p["y_Ut"] + p["y_bt"]),)

    return step


VALUES = {
    "dense": lambda p: p["x"] @ p["y_W"] + p["y_b"],
    "flat_dense": lambda p: np.tensordot(p["x"], p["y_W"], 1) + p["y_b"],
    "glu": lambda p: (p["x"] @ p["y_W"] + p["y_b"]) * sigmoid(p["x"] @ p["y_V"] + p["y_c"]),
    "swiglu": lambda p: (sigmoid(p["x"] @ p["y_V"]) * (p["x"] @ p["y_V"]) * (p["x"] @ p["y_W"])) @ p["y_U"],
    "maxout": lambda p: (np.einsum("nk,pkj->npj", p["x"], p["y_W"]) + p["y_b"]).max(axis=1),
    "residual": lambda p: p["x"] + np.tanh(p["x"]),
    "highway": highway,
    "transformer_block": block,
    "embedding": lambda p: p["y_E"][p["t"]],
    "conv1d": lambda p: along(p["y_b"])(conv(p["x"], p["y_W"])),
    "conv2d": lambda p: along(p["y_b"])(conv(p["x"], p["y_W"])),
    "conv_transpose1d": lambda p: along(p["y_b"])(conv_transpose(p["x"], p["y_W"])),
    "conv_transpose2d": lambda p: along(p["y_b"])(conv_transpose(p["x"], p["y_W"])),
    "grouped_conv2d": lambda p: along(p["y_b"])(
        np.concatenate([conv(x, w) for x, w in zip(np.split(p["x"], 2, axis=1), p["y_W"], strict=True)], axis=1)
    ),
    "depthwise_conv2d": lambda p: along(p["y_b"])(
        np.concatenate([conv(p["x"][:, [e]], w[None, None]) for e, w in enumerate(p["y_W"])], axis=1)
    ),
    "max_pool1d": lambda p: pool(p["x"], np.max, 2, 2, 1),
    "max_pool2d": lambda p: pool(p["x"], np.max, 2, 2, 2),
    "avg_pool1d": lambda p: pool(p["x"], np.mean, 2, 2, 1),
    "avg_pool2d": lambda p: pool(p["x"], np.mean, 2, 2, 2),
    "global_max_pool1d": lambda p: p["x"].max(axis=-1),
    "global_max_pool2d": lambda p: p["x"].max(axis=(-1, -2)),
    "global_avg_pool1d": lambda p: p["x"].mean(axis=-1),
    "global_avg_pool2d": lambda p: p["x"].mean(axis=(-1, -2)),
    "layer_norm": lambda p: normal(p["x"], -1) * p["y_g"] + p["y_b"],
    "rms_norm": lambda p: p["y_g"] * p["x"] / np.sqrt((p["x"] ** 2).mean(axis=-1, keepdims=True) + 1e-6),
    "batch_norm": lambda p: along(p["y_b"])(normal(p["x"], (0, 2)) * p["y_g"][:, None]),
    "group_norm": lambda p: along(p["y_b"])(
        normal(p["x"].reshape(len(p["x"]), 2, 3, -1), (2, 3)).reshape(p["x"].shape) * p["y_g"][:, None]
    ),
    "instance_norm": lambda p: along(p["y_b"])(normal(p["x"], 2) * p["y_g"][:, None]),
    "dropout": lambda p: p["x"] * p["y_M"] / 0.5,
    "gaussian_noise": lambda p: p["x"] + p["y_M"],
    "attention": lambda p: attend(p["q"], p["k"], p["v"]),
    "multi_head_attention": lambda p: heads(p["x"] / 4, p),
    "sinusoidal_positions": lambda p: positions(p["x"]),
    "learned_positions": lambda p: p["x"] + p["y_P"],
    "rnn": lambda p: over_time(p, lambda x, h: (np.tanh(gate(p, "", x, h)),), "y_b"),
    "lstm": lambda p: over_time(p, lstm_step(p), "y_bi", "y_bf"),
    "gru": lambda p: over_time(p, gru_step(p), "y_bs"),
    "rnn_cell": lambda p: np.tanh(p["x"] @ p["y_W"] + p["h"] @ p["y_U"] + p["y_b"]),
    "lstm_cell": lstm,
    "gru_cell": gru,
}
MORE = {
    ("conv1d", "stride=2, pad=1"): lambda p: along(p["y_b"])(conv(p["x"], p["y_W"], 2, 1)),
    ("conv1d", "stride=3, pad=2, dilation=2"): lambda p: along(p["y_b"])(conv(p["x"], p["y_W"], 3, 2, 2)),
    ("conv2d", "stride=2, pad=1, dilation=2"): lambda p: along(p["y_b"])(conv(p["x"], p["y_W"], 2, 1, 2)),
    ("conv_transpose1d", "stride=3, pad=1, dilation=2"): lambda p: along(p["y_b"])(
        conv_transpose(p["x"], p["y_W"], 3, 1, 2)
    ),
    ("conv_transpose2d", "stride=2, pad=1"): lambda p: along(p["y_b"])(conv_transpose(p["x"], p["y_W"], 2, 1)),
    ("attention", "causal=1"): lambda p: attend(p["q"], p["k"], p["v"], causal),
    ("multi_head_attention", "causal=1"): lambda p: heads(p["x"] / 4, p, causal),
    ("max_pool2d", "stride=1"): lambda p: pool(p["x"], np.max, 2, 1, 2),
    ("dropout", "0.2"): lambda p: p["x"] * p["y_M"] / 0.8,
    ("dense", "b=0"): lambda p: p["x"] @ p["y_W"],
}


def drawn(model):
    """Random values of what a model declares."""
    values = {}
    for t in model.program.declared:
        shape = tuple(int(str(a)) for a in t.axes)
        whole = t.property("labels")
        values[t.name] = RNG.integers(0, int(str(whole.extent)), size=shape) if whole else RNG.normal(size=shape)
    return values


def test_every_layer_has_a_value_of_its_own():
    assert set(VALUES) == set(LAYERS)


@pytest.mark.parametrize(("name", "use"), [*((n, "") for n in VALUES), *MORE])
def test_a_layer_is_what_numpy_says(name, use):
    model = derive.parse(layer_model(name, use))
    values = drawn(model)
    found = model.evaluate(values)
    wanted = (MORE[name, use] if use else VALUES[name])(values)
    result = found["y_H" if len(layer(name).block.returns) > 1 else "y"]
    np.testing.assert_allclose(result, wanted, rtol=1e-10, atol=1e-12)


def test_what_a_layer_is_where_it_is_used():
    for name in ("dropout", "gaussian_noise"):
        model = derive.parse(layer_model(name)).inference
        values = drawn(model)
        np.testing.assert_array_equal(model.evaluate({"x": values["x"]})["y"], values["x"])
    model = derive.parse("input x : [7, 3, 5]\ny = batch_norm(x, momentum=0.25)\noutput y")
    values = drawn(model)
    values["y_running_var"] = np.abs(values["y_running_var"])
    used = model.inference.evaluate(values)["y"]
    mean, var, g = (values[f"y_{k}"][:, None] for k in ("running_mean", "running_var", "g"))
    np.testing.assert_allclose(used, along(values["y_b"])((values["x"] - mean) / np.sqrt(var + 1e-5) * g))
    found = model.evaluate(values)
    for running, moment in (("running_mean", values["x"].mean((0, 2))), ("running_var", values["x"].var((0, 2)))):
        np.testing.assert_allclose(found[f"y_{running}_next"], 0.75 * values[f"y_{running}"] + 0.25 * moment)


# --- gradients as mathematics ---------------------------------------------------------------------------

ROWS = "dims m = 5, d = 3\nparam x : [m, d]\ninput G : [m, d]\n"
THREE = "(dy_H - col(mean(dy_H, axis=1)) - y_H * col(mean(dy_H * y_H, axis=1)))"
PICTURES = "dims n = 2, c = 3, s = 7, t = 5, f = 2, k = 3\nparam x : [n, c, s, t]\ninput G : [n, f, s-k+1, t-k+1]\n"
SEQUENCES = "dims t = 3, s = 5, d = 2, e = 7\nparam q : [t, d]\nparam k : [s, d]\nparam v : [s, e]\ninput G : [t, e]\n"
STATES = "dims n = 2, d = 3, k = 5\nparam x : [n, d]\nparam h : [n, k]\nparam c : [n, k]\ninput G : [n, k]\n"
ATTENTION = SEQUENCES + "y = attention(q, k, v)\nminimize sum(G * y)"
CAUSAL = SEQUENCES + "y = attention(q, k, v, causal=1)\nminimize sum(G * y)"
LSTM = STATES + "L = lstm_cell(x, h, c)\nminimize sum(G * L_H + L_C)"
GRU = STATES + "y = gru_cell(x, h)\nminimize sum(G * y)"
PROVED = [
    (ROWS + "y = layer_norm(x)\nminimize sum(G * y)", f"dx = {THREE} / col(sqrt(y_v + 1e-5))"),
    (ROWS + "y = layer_norm(x)\nminimize sum(G * y)", "dy_g = sum(G * y_H, axis=0)"),
    (
        "dims a = 2, m = 5, d = 3\nparam x : [a, m, d]\ninput G : [a, m, d]\ny = layer_norm(x)\nminimize sum(G * y)",
        "dx[a,m,k] = (dy_H[a,m,k] - mean[j] dy_H[a,m,j] - y_H[a,m,k] * mean[j] dy_H[a,m,j]*y_H[a,m,j]) "
        "/ sqrt(y_v[a,m] + 1e-5)",
    ),
    (
        ROWS + "y = batch_norm(x)\nminimize sum(G * y)",
        "dx = (dy_H - mean(dy_H, axis=0) - y_H * mean(dy_H * y_H, axis=0)) / sqrt(y_v + 1e-5)",
    ),
    (
        "dims n = 5, c = 3, s = 2\nparam x : [n, c, s]\ninput G : [n, c, s]\ny = batch_norm(x)\nminimize sum(G * y)",
        "dx[n,c,i] = (dy_H[n,c,i] - mean[m,j] dy_H[m,c,j] - y_H[n,c,i] * mean[m,j] dy_H[m,c,j]*y_H[m,c,j]) "
        "/ sqrt(y_v[c] + 1e-5)",
    ),
    (
        ROWS + "y = rms_norm(x)\nminimize sum(G * y)",
        "dx = (G * y_g - x * col(mean(G * y_g * x, axis=1) / y_r^2)) / col(y_r)",
    ),
    (ATTENTION, "dy_S = y_P * (dy_P - col(sum(dy_P * y_P, axis=1)))"),
    (ATTENTION, "dy_P = dy @ v'"),
    (ATTENTION, "dv = y_P' @ dy"),
    (ATTENTION, "dq = dy_S @ k / sqrt(d)"),
    (ATTENTION, "dk = dy_S' @ q / sqrt(d)"),
    (CAUSAL, "dy_S[i,j] = y_P[i,j] * (dy_P[i,j] - sum[l] dy_P[i,l]*y_P[i,l]) if j <= i else 0"),
    (CAUSAL, "dq = dy_S @ k / sqrt(d)"),
    # by the picture: the convolution of the cotangent with the kernel, a correlation with the flipped one
    (
        PICTURES + "y = conv2d(x, f, k)\nminimize sum(G * y)",
        "dx[n,e,k,l] = sum[o,p,q] G[n,o,k-p,l-q | 0] * y_W[o,e,p,q]",
    ),
    # by the kernel: the correlation of picture and cotangent
    (PICTURES + "y = conv2d(x, f, k)\nminimize sum(G * y)", "dy_W[o,e,p,q] = sum[n,i,j] G[n,o,i,j] * x[n,e,i+p,j+q]"),
    (PICTURES + "y = conv2d(x, f, k)\nminimize sum(G * y)", "dy_b[o] = sum[n,i,j] G[n,o,i,j]"),
    *(
        (LSTM, line)
        for line in (
            "dL_O = G * tanh(L_C)",
            "dL_C = G * L_O * (1 - tanh(L_C)^2) + 1",
            "dL_Zi = dL_C * L_G * L_I * (1 - L_I)",
            "dL_Zf = dL_C * c * L_F * (1 - L_F)",
            "dL_Zg = dL_C * L_I * (1 - L_G^2)",
            "dL_Zo = dL_O * L_O * (1 - L_O)",
            "dc = dL_C * L_F",
            "dL_Wf = x' @ dL_Zf",
            "dL_Ug = h' @ dL_Zg",
            "dh = dL_Zi @ L_Ui' + dL_Zf @ L_Uf' + dL_Zg @ L_Ug' + dL_Zo @ L_Uo'",
        )
    ),
    (GRU, "dy_Zs = G * (h - y_T) * y_S * (1 - y_S)"),
    (GRU, "dy_Zt = G * (1 - y_S) * (1 - y_T^2)"),
    (GRU, "dy_Zr = dy_K * h * y_R * (1 - y_R)"),
]
REFUTED = [
    (ROWS + "y = layer_norm(x)\nminimize sum(G * y)", "dx = (dy_H - col(mean(dy_H, axis=1))) / col(sqrt(y_v + 1e-5))"),
    (ROWS + "y = batch_norm(x)\nminimize sum(G * y)", f"dx = {THREE} / sqrt(y_v + 1e-5)"),
    (ATTENTION, "dy_S = y_P * (dy_P - sum(dy_P * y_P))"),
    (LSTM, "dL_Zf = dL_C * c * L_F"),
]


@pytest.mark.parametrize(("model", "line"), PROVED, ids=[line for _, line in PROVED])
def test_the_textbooks_form_is_proved(model, line):
    (verdict,) = verify_formulas(derive.parse(model).program, [line])
    assert verdict.status == "proved", str(verdict)


@pytest.mark.parametrize(("model", "line"), REFUTED, ids=[line for _, line in REFUTED])
def test_a_form_with_a_slip_is_refuted(model, line):
    (verdict,) = verify_formulas(derive.parse(model).program, [line])
    assert verdict.status == "refuted", str(verdict)
