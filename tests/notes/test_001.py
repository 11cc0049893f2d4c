"""Table 001: multivariate functions and Jacobians; gradients are rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import codegen
import derive
from derive.evaluate import evaluate

NEURON = """dims d = 5
input x : [d]
param w : [d]
param b
z = w @ x + b
"""
BATCH = "batch n\ntarget y : [n]{promise}\ninput q : [n]\n"
SOFTMAX = "dims k = 7\ninput l : [k]\np = softmax(l)\n"


@pytest.mark.parametrize(
    ("body", "by_x", "by_y"), [("x + y", "1", "1"), ("x^2 + y^2", "2*x", "2*y"), ("x * y", "y", "x")]
)
def test_row_1_1_partial_derivatives(notes, body, by_x, by_y):
    row = notes(f"input x\ninput y\nminimize {body}\n")
    row.gradient("x", f"dx = {by_x}")
    row.gradient("y", f"dy = {by_y}")
    vector = notes(f"input v : [2]\nx = v[0]\ny = v[1]\nf = {body}\n")
    vector.written_out("f", "v", [[by_x, by_y]])
    vector.both_layouts("f", "v")


def test_row_1_2_mean_and_mean_square(notes):
    text = "input x : [3]\nu = x^2\nJ = sum(u) / 3\nM = sum(x) / 3\n"
    row = notes(text)
    row.jacobian("M", "x", "S[i:3] = 1 / 3")
    row.jacobian("J", "x", "S = 2 * x / 3")
    row.chain("J", "u", "x")
    row.both_layouts("J", "x")
    row = notes(text.replace("J = ", "minimize "))
    steps = row.model.gradient("x").steps()
    order = [row.told(steps, line) for line in ("du[i:3] = 1 / 3", "S = 2 * x", "S = 2 / 3 * x")]
    assert order == sorted(order, key=steps.index)
    assert order[1].before.tensor.of.name == "u"


def test_rows_1_3_and_1_8_affine_neuron(notes):
    row = notes(NEURON)
    row.jacobian("z", "x", "S = w")
    row.jacobian("z", "w", "S = x")
    row.jacobian("z", "b", "S = 1")
    for name in ("x", "w"):
        row.both_layouts("z", name)
    assert row.model.jacobian("z", "x").structure == "∂z/∂x = wᵀ"
    assert row.model.jacobian("z", "w").structure == "∂z/∂w = xᵀ"
    upstream = notes(f"{NEURON}input g\nminimize g * z\n")
    upstream.gradient("w", "dw = g * x")
    upstream.gradient("b", "db = g")
    updated(upstream)


def test_row_1_4_the_definition_as_a_limit(notes):
    row = notes("input x\ninput y\nminimize x^2 * y + sin(x * y)\n")
    row.gradient("x", "dx = 2 * x * y + y * cos(x * y)")
    row.gradient("y", "dy = x^2 + x * cos(x * y)")
    known = evaluate(row.program, row.values)["loss"]
    for name in "xy":
        derived = evaluate(row.model.gradient(name).program, row.values)[f"d{name}"]
        one_sided, central = [], []
        for h in (1e-2, 1e-3):
            up, down = (evaluate(row.program, row.values | {name: row.values[name] + s * h})["loss"] for s in (1, -1))
            one_sided.append(abs((up - known) / h - derived))
            central.append(abs((up - down) / (2 * h) - derived))
        assert 8 < one_sided[0] / one_sided[1] < 12  # of first order in h, as in the definition
        assert central[1] < central[0] / 50  # of second order
    # The same by rules alone: the rule of each term, then the common factor.
    steps = row.model.gradient("x").steps()
    first = row.told(steps, "S = y * cos(x * y) + 2 * x * y")
    assert steps.index(first) < steps.index(row.told(steps, "S = y * (cos(x * y) + 2 * x)"))


@pytest.mark.parametrize("extent", [1, 2, 5])
def test_row_1_5_ascent_and_descent(notes, extent):
    text = f"dims d = {extent}\nparam x : [d]\ninput a : [d]\nminimize {{}}(sum((x - a)^2 * a) + sum(x)^2)\n"
    row = notes(text.format(""))
    row.gradient("x", "dx = 2 * (x - a) * a + 2 * sum(x)")
    known = evaluate(row.model.gradient("x").program, row.values)
    loss, slope = known["loss"], known["dx"]
    for signs in itertools.product((1, -1), repeat=min(extent, 2)):  # in two dimensions four cases
        step = np.zeros(extent)
        for k, sign in enumerate(signs):
            step[k] = sign * 1e-4 * slope[k]
            alone = evaluate(row.program, row.values | {"x": row.values["x"] + np.eye(extent)[k] * step[k]})
            assert sign * (alone["loss"] - loss) > 0  # along each axis up by +α, down by −α
        moved = evaluate(row.program, row.values | {"x": row.values["x"] + step})
        assert moved["loss"] - loss == pytest.approx(step @ slope, rel=1e-2, abs=1e-9)
    updated(row)
    up = notes(text.format("-"))
    np.testing.assert_allclose(updated(up) - row.values["x"], row.values["x"] - updated(row), rtol=1e-9)


def updated(row) -> np.ndarray:
    """One step of the emitted update, which is x := x − α (∇f)ᵀ for every parameter; the value of the first."""
    module = codegen.compile(derive.parse(row.text + "optimizer sgd(lr=0.001)\n"))
    params = {t.name: np.array(row.values[t.name]) for t in row.program.parameters}
    before = {k: v.copy() for k, v in params.items()}
    data = {k: v for k, v in row.values.items() if k not in params}
    loss = evaluate(row.program, row.values)["loss"]
    module.fit(params, data, epochs=1, shuffle=False)
    for name, value in params.items():
        np.testing.assert_allclose(value, before[name] - 0.001 * row.slope(name), rtol=1e-12)
    assert evaluate(row.program, row.values | params)["loss"] < loss
    return next(iter(params.values()))


def test_row_1_6_layouts(notes):
    row = notes(
        "dims m = 3, n = 5\ninput t\ninput x : [n]\ninput A : [m, n]\ns = t^2\nv = t * x\nf = x @ x\ng = A @ x\n"
    )
    for (y, x), shape in {("s", "t"): (1, 1), ("v", "t"): (5, 1), ("f", "x"): (1, 5), ("g", "x"): (3, 5)}.items():
        shown = row.model.jacobian(y, x).expanded(size={"m": 3, "n": 5})
        assert (len(shown.rows), len(shown.columns)) == shape
    shown = row.model.jacobian("f", "x").expanded("shape", size={"n": 5})
    assert (len(shown.rows), len(shown.columns)) == (5, 1)
    row.both_layouts("f", "x")


@pytest.mark.parametrize("extent", [3, 7])
def test_row_1_7_dot_product(notes, extent):
    row = notes(f"dims n = {extent}\ninput u : [n]\ninput v : [n]\ns = u @ v\n")
    assert row.jacobian("s", "u", "S = v").structure == "∂s/∂u = vᵀ"
    assert row.jacobian("s", "v", "S = u").structure == "∂s/∂v = uᵀ"
    row.both_layouts("s", "u")


@pytest.mark.parametrize(
    ("function", "slope"), [("sigmoid", "a * (1 - a)"), ("tanh", "(1 + a) * (1 - a)"), ("relu", "(z > 0)")]
)
def test_rows_1_9_and_1_10_a_full_neuron(notes, function, slope):
    row = notes(f"{NEURON}a = {function}(z)\n")
    row.jacobian("a", "z", f"S = {slope}")
    row.jacobian("a", "x", f"S = {slope} * w")
    full = notes(f"{NEURON}a = {function}(z)\ninput g\nminimize g * a\n")
    full.gradient("x", f"dx = g * {slope} * w")
    full.gradient("w", f"dw = g * {slope} * x")
    full.gradient("b", f"db = g * {slope}")
    updated(full)


def test_row_1_11_losses_of_a_batch(numeric):
    """Those of the language are those of the notes, at numbers and written out."""
    head = "dims k = 5\nbatch n\ntarget y : [n] binary\ninput q : [n]\ntarget Y : [n, k] one_hot\ninput Q : [n, k]\n"
    program = derive.parse(
        head + "a = mse(y, q)\nb = bce(y, q)\nc = cross_entropy(Y, Q)\na1 = sum((y - q)^2) / n\n"
        "b1 = -1 / n * sum(y * log(q) + (1 - y) * log(1 - q))\nc1 = -1 / n * (sum[i] sum[j] Y[i, j] * log(Q[i, j]))\n"
    ).program
    values = numeric.draw(program, seed=3)
    known = evaluate(program, values)
    y, q, Y, Q = (values[name] for name in "yqYQ")
    assert known["a"] == pytest.approx(known["a1"]) == pytest.approx(np.mean((y - q) ** 2))
    wanted = -np.mean(y * np.log(q) + (1 - y) * np.log(1 - q))
    assert known["b"] == pytest.approx(known["b1"]) == pytest.approx(wanted)
    assert known["c"] == pytest.approx(known["c1"]) == pytest.approx(-np.mean(np.log(Q[Y == 1])))


def test_rows_1_11_and_1_12_the_mean_over_a_batch(notes):
    row = notes("batch n\ninput J0 : [n]\nJ = sum(J0) / n\n")
    jacobian = row.jacobian("J", "J0", "S[i:n] = 1 / n")
    assert jacobian.structure == "∂J/∂J0 = (1/n) 1ₙᵀ"
    assert str(jacobian.expanded()) == "∂J/∂J0 = ( 1/n  1/n  ⋯  1/n )"
    row.both_layouts("J", "J0")


def test_row_1_13_mean_squared_error(notes):
    row = notes(BATCH.format(promise="") + "J = mse(y, q)\n")
    row.jacobian("J", "q", "S = -2 / n * (y - q)")
    row.both_layouts("J", "q")


def test_row_1_14_binary_cross_entropy(notes):
    one = notes("input y\ninput q\nJ = -(y * log(q) + (1 - y) * log(1 - q))\n")
    one.jacobian("J", "q", "S = (q - y) / (q * (1 - q))")
    steps = one.model.jacobian("J", "q").steps()
    first = one.told(steps, "S = -(y / q) + (1 - y) / (1 - q)")
    assert steps.index(first) < steps.index(one.told(steps, "S = (q - y) / (q * (1 - q))"))
    # The three numerators between them, which only a pen needs.
    one.jacobian("J", "q", "S = -(y / q - (1 - y) / (1 - q))")
    one.jacobian("J", "q", "S = -(y - y*q - q + q*y) / (q * (1 - q))")
    row = notes(BATCH.format(promise=" binary") + "J = bce(y, q)\n")
    row.jacobian("J", "q", "S = 1 / n * (q - y) / (q * (1 - q))")
    row.both_layouts("J", "q")


def test_row_1_15_categorical_cross_entropy(notes):
    row = notes("dims k = 7\ntarget y : [k]\ninput q : [k]\nJ = -sum(y * log(q))\n")
    assert row.jacobian("J", "q", "S = -y / q").element == "∂J/∂q_i = −y_i/q_i"
    row.both_layouts("J", "q")


def test_row_1_16_one_hot(notes):
    row = notes("dims k = 7\nbatch n\ntarget t : [n] labels(k)\ninput Q : [n, k]\nJ = cross_entropy(t, Q)\n")
    row.jacobian("J", "Q", "S[i, j] = -(t[i] == j) / (n * Q[i, j])")
    one = notes("dims k = 7\ntarget t labels(k)\ninput q : [k]\nJ = -(sum[i] (i == t) * log(q[i]))\n")
    jacobian = one.jacobian("J", "q", "S[i] = -1 / q[i] if i == t else 0")
    q = one.values["q"]
    for label in (0, 6, 3):  # the first, the last, the label α
        want = np.zeros(7)
        want[label] = -1 / q[label]
        np.testing.assert_allclose(jacobian.result({"q": q, "t": np.array(label)}), want)


def test_row_1_17_a_batch_of_class_probabilities(notes):
    text = "dims k = 5\nbatch n\ntarget Y : [n, k]\ninput Q : [n, k]\nJ0 = -sum(Y * log(Q), axis=1)\nJ = sum(J0) / n\n"
    row = notes(text)
    row.jacobian("J0", "Q", "S[i:n, s:n, j] = -(i == s) * Y[s, j] / Q[s, j]")
    row.jacobian("J", "Q", "S = -1 / n * Y / Q")
    row.chain("J", "J0", "Q")


def test_row_1_18_softmax(notes):
    row = notes("dims k = 7\ninput l : [k]\ns = sum(exp(l))\np = exp(l) / s\n")
    row.jacobian("s", "l", "S = exp(l)")
    row.jacobian("p", "l", "S[i:k, j:k] = (i == j) * p[i] - p[i] * p[j]")


def test_row_1_19_quotient_rule(notes):
    row = notes(SOFTMAX)
    jacobian = row.jacobian("p", "l", "S[i, j] = p[i] * (1 - p[i]) if i == j else -p[i] * p[j]")
    row.jacobian("p", "l", "S[i:k, j:k] = p[i] * ((i == j) - p[j])")
    assert jacobian.structure == "∂p/∂l = diag(p) − p pᵀ"
    first, second, _, last = str(jacobian.expanded()).splitlines()
    assert "p_1 (1 − p_1)" in first
    assert "p_2 (1 − p_2)" in second
    assert "p_k (1 − p_k)" in last
    steps = jacobian.steps()
    assert row.told(steps, "S[i:k, j:k] = p[i] * (1 - p[i])").where is not None
    assert row.told(steps, "S[i, j] = -p[i] * p[j]").where is not None
    assert row.told(steps, "S[i:k, j:k] = p[i] * ((i == j) - p[j])").where is None
    middle = jacobian.expanded(at=("i", None))
    assert str(middle) == "∂p_i/∂l = ( −p_1 p_i  ⋯  p_i (1 − p_i)  ⋯  −p_i p_k )"
