"""Table 004: networks by matrix calculus, from gradients of two variables to stochastic gradient descent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import build
from codegen.flops import operations
from derive.evaluate import evaluate, extent
from derive.notation import Notation

PLANE = "input v : [2]\nx = v[0]\ny = v[1]\n"
NEURON = """dims n = 5
input x : [n]
param w : [n]
param b
H = w * x
S = sum(H)
z = S + b
a = relu(z)
"""
BATCH = {
    "rows": "dims d = 5\nbatch m\ninput X : [m, d]\ntarget y : [m]\nparam w : [d]\nparam b\nz = X @ w + b\n",
    "columns": "dims d = 5\nbatch m\ninput X : [d, m]\ntarget y : [m]\nparam w : [d]\nparam b\nz = w @ X + b\n",
}
WEIGHTS = """param W1 : [{0}]
param b1 : [p]
param W2 : [{1}]
param b2 : [q]
param W3 : [{2}]
param b3 : [r]
"""
DEEP = {  # three layers with a general cost, for one sample and in both batch layouts
    "sample": "dims d = 3, p = 5, q = 7, r = 2\ninput a0 : [d]\ntarget y : [r]\n"
    + WEIGHTS.format("p, d", "q, p", "r, q")
    + "z1 = W1 @ a0 + b1\na1 = sigmoid(z1)\nz2 = W2 @ a1 + b2\na2 = tanh(z2)\nz3 = W3 @ a2 + b3\na3 = sigmoid(z3)\n"
    "minimize sum((a3 - y)^4)\n",
    "columns": "dims d = 3, p = 5, q = 7, r = 2\nbatch n\ninput a0 : [d, n]\ntarget y : [r, n]\n"
    + WEIGHTS.format("p, d", "q, p", "r, q")
    + "z1 = W1 @ a0 + col(b1)\na1 = sigmoid(z1)\nz2 = W2 @ a1 + col(b2)\na2 = tanh(z2)\n"
    "z3 = W3 @ a2 + col(b3)\na3 = sigmoid(z3)\nminimize sum((a3 - y)^4) / n\n",
    "rows": "dims d = 3, p = 5, q = 7, r = 2\nbatch n\ninput a0 : [n, d]\ntarget y : [n, r]\n"
    + WEIGHTS.format("d, p", "p, q", "q, r")
    + "z1 = a0 @ W1 + b1\na1 = sigmoid(z1)\nz2 = a1 @ W2 + b2\na2 = tanh(z2)\n"
    "z3 = a2 @ W3 + b3\na3 = sigmoid(z3)\nminimize sum((a3 - y)^4) / n\n",
}
COST = {"sample": "da3 = 4 * (a3 - y)^3", "columns": "da3 = 4 / n * (a3 - y)^3", "rows": "da3 = 4 / n * (a3 - y)^3"}
SLOPES = {1: "a1 * (1 - a1)", 2: "(1 - a2^2)", 3: "a3 * (1 - a3)"}
EQUATIONS = {  # of a layer k with the layer l = k + 1 above and j = k − 1 below: δ from above, ∂C/∂W, ∂C/∂b
    "sample": ("W{l}' @ dz{l}", "dz{k} @ a{j}'", "dz{k}"),
    "columns": ("W{l}' @ dz{l}", "dz{k} @ a{j}'", "sum(dz{k}, axis=1)"),
    "rows": ("dz{l} @ W{l}'", "a{j}' @ dz{k}", "sum(dz{k}, axis=0)"),
}
NET = """dims d = 3, h = 5
batch n
input X : [n, d]
target y : [n]
param W : [d, h] ~ glorot_uniform()
param b : [h] ~ zeros()
param u : [h] ~ normal(0, 0.5)
param c ~ zeros()
p = tanh(X @ W + b) @ u + c
minimize mse(y, p)
optimizer sgd(lr=0.05)
"""


def test_row_4_1_gradient_of_two_variables(notes):
    row = notes("input x\ninput y\nminimize x^2 + cos(y)\n")
    row.gradient("x", "dx = 2 * x")
    row.gradient("y", "dy = -sin(y)")
    assert evaluate(row.program, {"x": 2.0, "y": 0.0})["loss"] == 5
    vector = notes(PLANE + "f = x^2 + cos(y)\n")
    vector.written_out("f", "v", [["2 * x", "-sin(y)"]])
    vector.both_layouts("f", "v")


def test_row_4_2_jacobians_of_two_components(notes):
    row = notes(PLANE + "f = [2*x + y^3, exp(y) - 13*x]\ng = [2*x - y^3, exp(x) - 13*y]\n")
    row.written_out("f", "v", [["2", "3 * y^2"], ["-13", "exp(y)"]])
    row.written_out("g", "v", [["2", "-3 * y^2"], ["exp(x)", "-13"]])


def test_row_4_3_scalar_chain_rule(notes):
    row = notes("input x\ng = x^2\nf = sin(g)\n")
    row.jacobian("f", "g", "S = cos(g)")
    row.jacobian("g", "x", "S = 2 * x")
    row.jacobian("f", "x", "S = 2 * x * cos(g)")
    row.chain("f", "g", "x")
    notes("input x\nf = sin(x^2)\n").jacobian("f", "x", "S = 2 * x * cos(x^2)")


def test_row_4_4_jacobian_chain_rule(notes):
    row = notes(PLANE + "g = [x^2 + y, y^3]\nf = [sin(g[0]), log(g[1])]\n")
    row.written_out("g", "v", [["2 * x", "1"], ["0", "3 * y^2"]])
    row.written_out("f", "g", [["cos(g[0])", "0"], ["0", "1 / g[1]"]])
    row.written_out("f", "v", [["2 * x * cos(g[0])", "cos(g[0])"], ["0", "3 * y^2 / g[1]"]])
    row.chain("f", "g", "v")
    whole = notes(PLANE + "f = [sin(x^2 + y), log(y^3)]\n")
    whole.written_out("f", "v", [["2 * x * cos(x^2 + y)", "cos(x^2 + y)"], ["0", "3 / y"]])


def test_row_4_5_some_components_without_an_intermediate(notes):
    slopes = [["2*x * cos({0})", "2*y * cos({0})"], ["0", "-3*y^2 * sin({1})"], ["y^3", "3*x * y^2"]]
    row = notes(PLANE + "g = [x^2 + y^2, y^3]\nf = [sin(g[0]), cos(g[1]), x * y^3]\n")
    row.written_out("f", "v", [[s.format("g[0]", "g[1]") for s in line] for line in slopes])
    whole = notes(PLANE + "f = [sin(x^2 + y^2), cos(y^3), x * y^3]\n")
    whole.written_out("f", "v", [[s.format("(x^2 + y^2)", "(y^3)") for s in line] for line in slopes])


def test_row_4_6_a_forward_run():
    model = derive.parse(
        "dims j = 2, k = 2\nparam W : [j, k]\nparam b : [j]\ninput a0 : [k]\n"
        "z = W @ a0 + b\na1 = relu(z)\noutput z, a1\n"
    )
    params = {"W": np.array([[5.0, 2.0], [3.0, 6.0]]), "b": np.array([6.0, 6.0])}
    found = codegen.compile(model).forward(params, a0=np.array([10.0, 20.0]))
    assert found["z"].tolist() == [96, 156]
    assert found["a1"].tolist() == [96, 156]
    assert evaluate(model.program, {**params, "a0": [10, 20]})["a1"].tolist() == [96, 156]


@pytest.mark.parametrize("constant", ["m", "(2 * m)"])
def test_row_4_7_mean_squared_error(notes, constant):
    row = notes(f"batch m\ntarget y : [m]\ninput a : [m]\nminimize sum((y - a)^2) / {constant}\n")
    row.gradient("a", f"da = 2 * (a - y) / {constant}")
    row.gradient("a", "da = (a - y) / m" if constant != "m" else "da = 2 * (a - y) / m")
    printed = Notation(row.program).matrix(row.program.equations[-1])
    assert ("1/(2 m)" in printed) == (constant != "m")  # the constant is kept as it was written
    assert "1/m" in printed or constant != "m"


@pytest.mark.parametrize(
    ("body", "by_v", "by_w"),
    [
        ("v * w", "w", "v"),
        ("f(v) * g(w)", "cos(v) * g(w)", "f(v) * 3 * w^2"),
        ("f(v) + g(w)", "cos(v)", "3 * w^2"),
        ("f(v) / g(w)", "cos(v) / g(w)", "-3 * f(v) / w^4"),
    ],
)
def test_row_4_8_binary_operations(notes, body, by_v, by_w):
    head = "dims n = 5\ninput v : [n]\ninput w : [n]\nfn f(x) = sin(x)\nfn g(x) = x^3\n"
    row = notes(f"{head}F = {body}\n")
    row.jacobian("F", "v", f"S = diag({by_v})")
    row.jacobian("F", "w", f"S = diag({by_w})")
    for name in "vw":
        entries = row.model.jacobian("F", name).expanded(size={"n": 5}).entries
        assert all(repr(e) == "0" for i, line in enumerate(entries) for k, e in enumerate(line) if i != k)


def test_row_4_9_scalar_expansion(notes):
    row = notes("dims n = 5\ninput v : [n]\ninput x\nF = x * v\n")
    assert row.jacobian("F", "v", "S[i:n, j:n] = x * (i == j)").structure == "∂F/∂v = x I"
    assert row.jacobian("F", "x", "S = v").structure == "∂F/∂x = v"


def test_row_4_10_derivative_of_a_sum(notes):
    row = notes("dims n = 5\ninput v : [n]\ng = sin(v) * v\nS = sum(g)\nT = sum(v)\nU = sum(2 * v)\n")
    row.chain("S", "g", "v")
    row.jacobian("S", "v", "S1 = sin(v) + v * cos(v)")
    assert str(row.jacobian("T", "v", "S1[i:n] = 1").expanded()) == "∂T/∂v = ( 1  1  ⋯  1 )"
    assert str(row.jacobian("U", "v", "S1[i:n] = 2").expanded()) == "∂U/∂v = ( 2  2  ⋯  2 )"
    for name in "STU":
        row.both_layouts(name, "v")


def test_row_4_11_a_neuron_through_named_parts(notes):
    row = notes(NEURON)
    assert row.jacobian("H", "w", "D = diag(x)").structure == "∂H/∂w = diag(x)"
    assert row.jacobian("S", "H", "D[i:n] = 1").structure == "∂S/∂H = 1ₙᵀ"
    row.jacobian("z", "S", "D = 1")
    row.jacobian("z", "b", "D = 1")
    row.jacobian("a", "z", "D = (z > 0)")
    assert row.jacobian("a", "w", "D[i] = x[i] if z > 0 else 0").structure == "∂a/∂w = [z > 0] xᵀ"
    row.jacobian("a", "b", "D = 1 if z > 0 else 0")
    for y, middle, x in (("S", "H", "w"), ("z", "S", "H"), ("a", "z", "S"), ("z", "H", "w"), ("a", "H", "w")):
        row.chain(y, middle, x)
    row.both_layouts("a", "w")


@pytest.mark.parametrize("layout", BATCH)
def test_rows_4_12_and_4_13_a_relu_neuron_and_its_errors(notes, layout):
    row = notes(BATCH[layout] + "a = relu(z)\nv = y - a\nminimize sum(v^2) / (2 * m)\n")
    x_i, by_errors = ("X[i, j]", "X' @") if layout == "rows" else ("X[j, i]", "X @")
    row.backward(f"dv = v / m\nda = -dv\ndz = da * (z > 0)\ndw = {by_errors} dz\ndb = sum(dz)")
    row.gradient("w", f"dw[j] = sum[i:m] ((z[i] - y[i]) * {x_i} if z[i] > 0 else 0) / m")
    row.gradient("b", "db = sum[i:m] (z[i] - y[i] if z[i] > 0 else 0) / m")
    linear = notes(BATCH[layout] + "e = z - y\nminimize sum(e^2) / (2 * m)\n")
    linear.gradient("w", f"dw[j] = 1 / m * sum[i] e[i] * {x_i}")
    linear.gradient("b", "db = sum(e) / m")
    # Written out, an e_i x_iᵀ a sample, and averaged.
    known = evaluate(linear.model.gradient("w").program, linear.values)
    samples = known["X"] if layout == "rows" else known["X"].T
    np.testing.assert_allclose(known["dw"], sum(e * x for e, x in zip(known["e"], samples, strict=True)) / len(samples))


def test_row_4_14_the_steepest_direction_and_one_vector(numeric):
    model = derive.parse(NET)
    module = codegen.compile(model)
    params, data = module.init_params(seed=3), batch_of(numeric, model)
    theta = np.concatenate([params[k].ravel() for k in module.PARAMS])
    value, flat = module.loss_and_grad_flat(theta, **data)
    same, by_name = module.loss_and_grad(params, **data)
    assert value == same
    start = 0
    for name, shape in module.PARAMS.items():  # unflattened, each stands where its parameter does
        size = int(np.prod(shape))
        np.testing.assert_array_equal(flat[start : start + size].reshape(shape), by_name[name])
        start += size
    assert start == theta.size
    step = 1e-3 / np.linalg.norm(flat)
    assert (
        module.loss_and_grad_flat(theta - step * flat, **data)[0]
        < value
        < module.loss_and_grad_flat(theta + step * flat, **data)[0]
    )
    slopes = []  # no direction of the same length falls faster
    for direction in [flat, *np.random.default_rng(0).normal(size=(20, theta.size))]:
        moved = theta - 1e-5 * direction / np.linalg.norm(direction)
        slopes.append(value - module.loss_and_grad_flat(moved, **data)[0])
    assert max(slopes) == slopes[0]


@pytest.mark.parametrize("batch_size", [4, 7, None])
def test_row_4_15_mini_batches(numeric, batch_size):
    model = derive.parse(NET)
    module, data = codegen.compile(model), batch_of(numeric, model, 11)
    by_hand, found = module.init_params(seed=1), module.init_params(seed=1)
    size, total = batch_size or 11, 0.0
    for start in range(0, 11, size):  # the last batch is short: 11 = 4 + 4 + 3
        part = {k: v[start : start + size] for k, v in data.items()}
        value, slopes = module.loss_and_grad(by_hand, **part)
        total += value * len(part["y"])
        for name, slope in slopes.items():
            by_hand[name][...] -= 0.05 * slope
    history = module.fit(found, data, epochs=1, batch_size=batch_size, shuffle=False)
    for name in module.PARAMS:
        np.testing.assert_allclose(found[name], by_hand[name], rtol=1e-13)
    assert history[0]["loss"] == pytest.approx(total / 11, rel=1e-12)


def test_row_4_15_the_samples_are_shuffled(numeric):
    """Each sample once an epoch, in an order that the seed decides: with steps of size 0 the loss is the whole's."""
    model = derive.parse(NET)
    module, data = codegen.compile(model), batch_of(numeric, model, 11)
    start = module.init_params(seed=1)
    whole = module.loss(start, **data)
    history = module.fit(start, data, epochs=3, batch_size=4, lr=0.0)
    assert [h["loss"] for h in history] == pytest.approx([whole] * 3, rel=1e-12)
    ends = {}
    for seed, shuffle in ((1, True), (1, True), (2, True), (1, False)):
        params = module.init_params(seed=1)
        module.fit(params, data, epochs=1, batch_size=4, seed=seed, shuffle=shuffle)
        ends.setdefault((seed, shuffle), []).append(params["W"].copy())
    np.testing.assert_array_equal(*ends[1, True])
    assert not np.array_equal(ends[1, True][0], ends[2, True][0])
    assert not np.array_equal(ends[1, True][0], ends[1, False][0])


def test_row_4_16_forward_and_backward_accumulation_fixed_depth(notes):
    """What both cost in operations: forward takes a pass for each weight, backward one for all of them."""
    row = notes(DEEP["sample"])
    gradient = row.model.gradient()
    sizes = {d.name: d.default for d in row.program.dims}
    backward = extent(operations(gradient.derivation.derived), sizes)
    forward = 0
    for t in row.program.parameters:
        one_pass = row.model.tangent(t.name)
        passes = int(np.prod([extent(a, sizes) for a in t.axes]))
        forward += passes * extent(operations(one_pass.derivation.derived), sizes)
        slope = gradient_at(row, t.name)
        for place in list(np.ndindex(slope.shape))[:3]:  # both give the same number
            unit = np.zeros(slope.shape)
            unit[place] = 1
            np.testing.assert_allclose(one_pass.result({**row.values, one_pass.direction: unit}), slope[place])
    assert forward > 20 * backward


@pytest.mark.parametrize("layout", DEEP)
def test_rows_4_17_to_4_21_fixed_depth(notes, layout):
    """δ³ = ∇C ⊙ σ′(z³), δˡ = (Wˡ⁺¹)ᵀ δˡ⁺¹ ⊙ σ′(zˡ), ∂C/∂bˡ = δˡ, ∂C/∂Wˡ = δˡ (aˡ⁻¹)ᵀ, each from the line before."""
    row = notes(DEEP[layout])
    above, weights, bias = EQUATIONS[layout]
    lines = [COST[layout]]
    for k in (3, 2, 1):
        here = {"k": k, "l": k + 1, "j": k - 1}
        if k < 3:
            lines.append(f"da{k} = {above.format(**here)}")
        lines += [f"dz{k} = da{k} * {SLOPES[k]}", f"dW{k} = {weights.format(**here)}", f"db{k} = {bias.format(**here)}"]
    found = row.backward("\n".join(lines))
    row.backward(deltas(layout))  # the cotangents of activations left out, as in the notes
    emitted = build(row.program)
    assert all(f.matrix in emitted for f in found.formulas)


def test_row_4_17_the_error_of_a_node_fixed_depth(notes):
    row = notes(DEEP["sample"])
    for k in (1, 2, 3):  # ∂C/∂z_j, not z_j + Δ: what the cost gains by Δ at one node, per Δ
        delta = row.slope(f"z{k}")
        known = evaluate(row.model.gradient(f"z{k}").program, row.values)
        np.testing.assert_allclose(known[f"dz{k}"], delta, rtol=1e-12)
        row.chain("loss", f"a{k}", f"z{k}")


def test_row_4_21_one_weight(notes):
    row = notes(
        "dims j = 3, k = 3\ninput a : [k]\ninput y : [j]\nparam W : [j, k]\nz = W @ a\nminimize sum((z - y)^4)\n"
    )
    row.backward("dz = 4 * (z - y)^3\ndW[j, k] = a[k] * dz[j]")
    row.backward("dz = 4 * (z - y)^3\ndW = dz @ a'")


def test_row_4_22_errors_and_deltas_are_the_same(notes):
    row = notes("dims d = 5\ninput x : [d]\ntarget y\nparam w : [d]\nparam b\nz = w @ x + b\nminimize (z - y)^2 / 2\n")
    row.backward("dz = w @ x + b - y\ndw = dz * x\ndb = dz")
    row.backward("dz = z - y\ndw = dz * x\ndb = dz")
    # A layer of such neurons: the rows of δ aᵀ are the e_i xᵀ of its neurons.
    layer = notes(
        "dims d = 5, j = 3\ninput x : [d]\ntarget y : [j]\nparam W : [j, d]\nparam b : [j]\n"
        "z = W @ x + b\nminimize sum((z - y)^2) / 2\n"
    )
    layer.backward("dz = z - y\ndW = dz @ x'\ndb = dz")
    known = evaluate(layer.model.gradient().program, layer.values)
    for i, y in enumerate(layer.values["y"]):
        one = {"x": known["x"], "w": known["W"][i], "b": known["b"][i], "y": y}
        found = evaluate(row.model.gradient().program, one)
        np.testing.assert_allclose(found["dw"], known["dW"][i], rtol=1e-13)


def test_row_4_23_the_six_steps_fixed_depth(notes):
    """Forward, cost, δ of the last layer, the other δ, biases, weights, then the update of the unrolled vector."""
    row = notes(DEEP["columns"] + "optimizer sgd(lr=0.1)\n")
    module = codegen.compile(row.model)
    names = list(module.PARAMS)
    data = {k: v for k, v in row.values.items() if k not in names}
    known = evaluate(row.program, row.values)
    n = data["y"].shape[1]
    delta = 4 / n * (known["a3"] - known["y"]) ** 3 * known["a3"] * (1 - known["a3"])
    want = {"W3": delta @ known["a2"].T, "b3": delta.sum(1)}
    delta = known["W3"].T @ delta * (1 - known["a2"] ** 2)
    want |= {"W2": delta @ known["a1"].T, "b2": delta.sum(1)}
    delta = known["W2"].T @ delta * known["a1"] * (1 - known["a1"])
    want |= {"W1": delta @ known["a0"].T, "b1": delta.sum(1)}
    params = {k: row.values[k].copy() for k in names}
    theta = np.concatenate([params[k].ravel() for k in names])
    _, flat = module.loss_and_grad_flat(theta, **data)
    np.testing.assert_allclose(flat, np.concatenate([want[k].ravel() for k in names]), rtol=1e-11)
    module.fit(params, data, epochs=1, shuffle=False)
    np.testing.assert_allclose(np.concatenate([params[k].ravel() for k in names]), theta - 0.1 * flat, rtol=1e-13)


def test_row_4_24_digits_in_columns(notes):
    text = (Path(__file__).parents[2] / "examples" / "mnist_columns.gc").read_text(encoding="utf-8")
    model = derive.parse(text)
    shapes = {t.name: [extent(a, {"d": 784, "h": 10, "c": 10, "m": 7}) for a in t.axes] for t in model.program.tensors}
    assert (shapes["X"], shapes["W1"], shapes["Z1"], shapes["A2"]) == ([784, 7], [10, 784], [10, 7], [10, 7])
    row = notes(text.replace("d = 784, h = 10, c = 10", "d = 5, h = 3, c = 2"))
    row.backward(  # what the notes stop before
        "dZ2 = (A2 - Y) / m\ndW2 = dZ2 @ A1'\ndb2[i, k:1] = sum[s] dZ2[i, s]\ndA1 = W2' @ dZ2\n"
        "dZ1 = dA1 * (Z1 > 0)\ndW1 = dZ1 @ A0'\ndb1[i, k:1] = sum[s] dZ1[i, s]"
    )


def deltas(layout: str) -> str:
    """The δ of each layer in terms of the one above, the last one in terms of the cost."""
    cost = COST[layout].removeprefix("da3 = ")
    inner = [f"dz{k} = ({EQUATIONS[layout][0].format(l=k + 1)}) * {SLOPES[k]}" for k in (2, 1)]
    return "\n".join([f"dz3 = {cost} * {SLOPES[3]}", *inner])


def gradient_at(row, name):
    return evaluate(row.model.gradient(name).program, row.values)[f"d{name}"]


def batch_of(numeric, model, n=7):
    names = {t.name for t in model.program.parameters}
    return {k: v for k, v in numeric.draw(model.program, seed=5, n=n).items() if k not in names}
