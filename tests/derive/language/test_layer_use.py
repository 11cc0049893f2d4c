"""Uses of layers and of blocks with shapes: what follows from the inputs, what a use may give, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.language.definitions import layer
from derive.language.parse import parse
from derive.language.renaming import calls_in
from derive.language.text import text
from derive.library.functions import FUNCTIONS
from derive.library.layers import LAYERS
from derive.shapes import show_axes

HEAD = """dims d = 3, h = 5
batch n
input X : [n, d]
input Q : [n, 7, d]
"""
GOAL = "minimize sum(A)\n"


def model(lines: str) -> derive.ParsedModel:
    return derive.parse(HEAD + lines, "net.gc")


def shapes(lines: str) -> dict[str, str]:
    program = model(lines).program
    return {t.name: show_axes(t.axes, program.dims) for t in program.tensors if t.name not in ("X", "Q")}


def refused(lines: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        model(lines)
    return caught.value


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A = dense(X, h, relu)", {"A_W": "[d, h]", "A_b": "[h]", "A_Z": "[n, h]", "A": "[n, h]"}),
        ("A = dense(X, h)", {"A_W": "[d, h]", "A_b": "[h]", "A": "[n, h]"}),
        ("A = dense(Q, 2*h)", {"A_W": "[d, 2*h]", "A_b": "[2*h]", "A": "[n, 7, 2*h]"}),
        ("A = dense(X[0], h)", {"A_x": "[d]", "A_W": "[d, h]", "A_b": "[h]", "A": "[h]"}),
        ("A = dense(X, h, b=0)", {"A_W": "[d, h]", "A": "[n, h]"}),
        ("A = conv1d(Q, h, 3)", {"A_W": "[h, 7, 3]", "A_b": "[h]", "A": "[n, h, d-2]"}),
        ("A = conv1d(Q, h, 3, pad=1)", {"A_W": "[h, 7, 3]", "A_b": "[h]", "A": "[n, h, d]"}),
        ("A = avg_pool1d(Q, 1)", {"A": "[n, 7, d]"}),
    ],
)
def test_extents_follow_from_the_inputs(lines, expected):
    assert shapes(lines) == expected


def test_a_dense_layer_is_the_dense_layer():
    rng = np.random.default_rng(3)
    values = {"X": rng.normal(size=(2, 3)), "Q": rng.normal(size=(2, 7, 3)), "A_W": rng.normal(size=(3, 5))}
    values["A_b"] = rng.normal(size=5)
    found = model("A = dense(X, h, tanh)").evaluate(values)["A"]
    np.testing.assert_allclose(found, np.tanh(values["X"] @ values["A_W"] + values["A_b"]), rtol=1e-12)


def test_the_matrix_forms_of_dense_layers_are_those_of_lines_by_hand():
    hand = "param W : [d, h]\nparam b : [h]\nZ = X @ W + b\nA = tanh(Z)\n" + GOAL
    layered = str(model("A = dense(X, h, tanh)\n" + GOAL).gradient())
    by_hand = str(model(hand).gradient())
    assert layered.replace("A_Z", "Z").replace("A_W", "W").replace("A_b", "b") == by_hand


def test_layers_stand_in_expressions_in_blocks_and_in_repetitions():
    own = "block unit(x : [.., k])\n  H = dense(x, k, tanh)\n  y = x + H\n  return y\nend\n"
    found = shapes(own + "A{0} = dense(Q, h)\nrepeat l = 1..2\n  A{l} = unit(A{l-1})\nend\nB = tanh(dense(A{2}, 2))\n")
    assert found == {
        **{"A_W0": "[d, h]", "A_b0": "[h]", "A0": "[n, 7, h]"},
        **{f"A_H_{k}{l}": v for l in (1, 2) for k, v in (("W", "[h, h]"), ("b", "[h]"), ("Z", "[n, 7, h]"))},
        **{f"A_H{l}": "[n, 7, h]" for l in (1, 2)},
        **{f"A{l}": "[n, 7, h]" for l in (1, 2)},
        **{"B_dense_W": "[h, 2]", "B_dense_b": "[2]", "B_dense": "[n, 7, 2]", "B": "[n, 7, 2]"},
    }


def test_families_of_layers_are_derived_once():
    lines = "dims n{0..3} = [3, 5, 2, 7]\nbatch m\ninput X : [m, n{0}]\nA{0} = X\n"
    lines += "repeat l = 1..3\n  A{l} = dense(A{l-1}, n{l}, relu)\nend\nminimize sum(A{3}^2)\n"
    found = derive.parse(lines)
    gradient = found.gradient()
    assert gradient.symbolic is not None
    assert "dA_Wˡ = (Aˡ⁻¹)ᵀ dA_Zˡ" in str(gradient)
    axes = [show_axes(t.axes) for t in found.program.parameters if "W" in t.name]
    assert axes == ["[n0, n1]", "[n1, n2]", "[n2, n3]"]


def test_a_block_of_the_model_hides_the_layer_and_so_does_a_function():
    own = "block dense(x)\n  y = 2 * x\n  return y\nend\nA = dense(X)"
    assert shapes(own) == {"A": "[n, d]"}
    assert shapes("fn dense(z) = z^2\nA = dense(X)") == {"A": "[n, d]"}


def test_a_layer_calls_the_functions_of_the_catalogue_whatever_the_model_calls_so():
    own = "fn sigmoid(z) = 7\nfn tanh2(z) = tanh(z)^2\n"
    rng = np.random.default_rng(3)
    values = {"X": rng.normal(size=(2, 3)), "Q": rng.normal(size=(2, 7, 3)), "A_W": rng.normal(size=(3, 5))}
    values |= {"A_V": rng.normal(size=(3, 5)), "A_b": np.zeros(5), "A_c": np.zeros(5)}
    x, w, v = (values[k] for k in ("X", "A_W", "A_V"))
    plain = model(own + "A = glu(X, h)").evaluate(values)["A"]
    np.testing.assert_allclose(plain, (x @ w) / (1 + np.exp(-x @ v)), rtol=1e-13)
    given = model(own + "A = glu(X, h, sigmoid)").evaluate(values)["A"]
    np.testing.assert_allclose(given, 7 * (x @ w), rtol=1e-13)
    user = model(own + "A = glu(X, h, tanh2)").evaluate(values)["A"]
    np.testing.assert_allclose(user, (x @ w) * np.tanh(x @ v) ** 2, rtol=1e-13)


def test_a_parameter_that_a_use_gives_is_tied():
    found = model("U = dense(X, d, tanh)\nA = dense(U, d, tanh, W=U_W)\n" + GOAL)
    assert [t.name for t in found.program.parameters] == ["U_W", "U_b", "A_b"]
    assert [t.name for t in model("U = dense(X, h)\nA = dense(U, d, W=U_W')\n").program.parameters][-1] == "A_b"


def test_letters_of_a_layer_do_not_meet_what_the_model_calls_so():
    """In `attention` i and j stand for their values too, which the model has other plans for."""
    lines = "dims j = 7\nparam i : [n1, d]\nA = attention(i, i, i, causal=1)\nminimize sum(A^2)\n"
    found = derive.parse("dims d = 3, n1 = 5\n" + lines)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3))
    s = np.where(np.tril(np.ones((5, 5))) > 0, x @ x.T / np.sqrt(3), -np.inf)
    p = np.exp(s - s.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found.evaluate({"i": x})["A"], p / p.sum(axis=1, keepdims=True) @ x, rtol=1e-13)


REFUSED = {
    "A = dense(X)": ("dense needs h", "A = dense(X)"),
    "A = dense(X, h, relu, glorot_normal, 3)": ("dense takes 4 arguments, not 5", "A = dense"),
    "A = dense(X, h, V=3)": ("dense has no argument V", "A = dense"),
    "A = dense(3, h)": ("dense takes x : [.., d], and is given 3, a number", "A = dense"),
    "A = conv2d(X, h, 3)": ("conv2d takes x : [.., c, s, t], and is given X [n, d]", "A = conv2d"),
    "A = max_pool1d(Q, 2)": ("(d-2)/2 rounded down is no polynomial in dims", "A = max_pool1d"),
    "A = attention(Q, X, X)": ("`..` is [n] before, and [] here", "A = attention"),
    "A = attention(Q, Q, Q[:, 0:3])": (
        "attention takes v : [.., s, e], and is given Q[:, 0:3] [n, 3, d]: s is 7, and this axis is 3",
        "A = attention",
    ),
    "A = dense(X, h, W=Q)": ("W of dense is [d, h] here, and is given Q [n, 7, d]", "A = dense"),
    "A = dense(X, h, 3)": ("f is called as a function, and no function is given for it", "A = dense"),
    "A = dense(Y, h)": ("unknown name Y", "A = dense"),
    "A = dense(dense, h)": ("unknown name dense", "A = dense"),
    "A[i, j] = X[i, ..]": ("`..` stands in blocks", "A[i, j]"),
    "A = sum[..] X[0, 1]": ("`..` stands in blocks", "A = sum"),
    "minimize sum(dense(X, h))": ("whose name its parameters take", "minimize"),
    "A_W = 1\nA = dense(X, h)": ("called A_W here, and A_W is defined on line 5", "A = dense"),
    "A = residual(X, dense)": ("dense needs h", "A = residual"),
    "block f(x : [.., d, ..])\ny = x\nreturn y\nend": ("`..` stands twice in one shape", "block f"),
    "block f(x : [n, d])\ny[i, ..] = x[i, ..]\nreturn y\nend": ("no shape of f does", "y[i, ..]"),
    "block f(x : [q]; k = 1, w)\ny = x\nreturn y\nend": ("a size without a default stands behind k", "block f"),
    "block f(x : [q])\nparam q : [3]\ny = x\nreturn y\nend": ("q is given to the block f", "param q"),
    "block f(x : [q], q)\ny = x\nreturn y\nend": ("q is an input of f, and no extent", "block f"),
    "block f(x : [q, 2*q])\ny = x\nreturn y\nend\nA = f(X)": (
        "f takes x : [q, 2 * q], and is given X [n, d]: 2 * q is 2*n, and this axis is d",
        "A = f(X)",
    ),
    "block f(x : [p, q]; q)\ny = x\nreturn y\nend\nA = f(X, h)": ("q is h, and this axis is d", "A = f(X, h)"),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_refused(lines):
    error = refused(lines)
    message, line = REFUSED[lines]
    assert message in error.message
    assert error.span is not None
    assert error.span.source.name == "net.gc"
    assert error.span.source.line(error.span.line).startswith(line)


def test_an_error_within_a_layer_shows_the_line_of_the_model_once():
    error = refused("block f(x)\n  y = max_pool1d(x, 2)\n  return y\nend\nA = f(Q)")
    assert str(error).splitlines()[0] == ("net.gc:6:7: error: (d-2)/2 rounded down is no polynomial in dims")
    assert str(error).splitlines()[3:5] == [
        "  used at net.gc:9:5: A = f(Q)",
        "  hint: write the extents as numbers, or as multiples: dims m = 14, and 2*m for what is halved",
    ]


def test_a_block_with_shapes_and_defaults_keeps_its_text():
    lines = "block f(x : [.., d], g; h, k = 2*h)\n  y[.., i] = sum[j, ..] x[.., j] * i\n  return y\nend\n"
    assert text(parse(lines)) == lines
    assert parse(text(parse(lines))) == parse(lines)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_closed(name):
    """What it reads it is given or defines; what it calls is in the catalogue, or given."""
    known = layer(name)
    assert known.block.name == name
    assert name not in FUNCTIONS
    assert not derive.language.calls.TENSOR_FUNCTIONS.keys() & {name}
    given = {*known.block.inputs, *known.block.sizes}
    catalogue = {*FUNCTIONS, *derive.functions.PRIMITIVES, *derive.language.calls.TENSOR_FUNCTIONS, *LAYERS, "floor"}
    for s in (*known.block.body, *known.block.defaults):
        starts = {"zeros", "ones", "normal", "constant", "bernoulli"} if hasattr(s, "initializer") else set()
        assert {c.function for c in calls_in(s)} <= given | catalogue | starts
