"""Table 004 with a symbolic layer: the equations of backpropagation for any l and any depth, in both layouts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import codegen
import derive
from codegen.accumulation import layer_costs
from codegen.algorithm import algorithm_of, stages
from derive.evaluate import evaluate
from derive.shapes import size

ONE = """\
dims L = 3, n{{0..L}} = [5, 7, 3, 2]
input x : [n{{0}}]
target y : [n{{L}}]
a{{0}} = x
repeat l = 1..L
  param W{{l}} : [n{{l}}, n{{l-1}}] ~ glorot_uniform()
  param b{{l}} : [n{{l}}] ~ zeros()
  z{{l}} = W{{l}} @ a{{l-1}} + b{{l}}
  a{{l}} = {activation}(z{{l}})
end
minimize sum((a{{L}} - y)^2) / 2
"""
COLUMNS = """\
dims L = 3, n{{0..L}} = [5, 7, 3, 2]
batch m
input X : [n{{0}}, m]
target Y : [n{{L}}, m]
A{{0}} = X
repeat l = 1..L
  param W{{l}} : [n{{l}}, n{{l-1}}] ~ glorot_uniform()
  param b{{l}} : [n{{l}}] ~ zeros()
  Z{{l}} = W{{l}} @ A{{l-1}} + col(b{{l}})
  A{{l}} = {activation}(Z{{l}})
end
minimize sum((A{{L}} - Y)^2) / (2*m)
optimizer sgd(lr=0.1)
"""
ROWS = """\
dims L = 3, n{{0..L}} = [5, 7, 3, 2]
batch m
input X : [m, n{{0}}]
target Y : [m, n{{L}}]
A{{0}} = X
repeat l = 1..L
  param W{{l}} : [n{{l-1}}, n{{l}}] ~ glorot_uniform()
  param b{{l}} : [n{{l}}] ~ zeros()
  Z{{l}} = A{{l-1}} @ W{{l}} + b{{l}}
  A{{l}} = {activation}(Z{{l}})
end
minimize sum((A{{L}} - Y)^2) / (2*m)
optimizer sgd(lr=0.1)
"""
SLOPES = {"sigmoid": "A{l} * (1 - A{l})", "tanh": "(1 + A{l}) * (1 - A{l})", "relu": "(Z{l} > 0)"}
LAYOUTS = {"columns": COLUMNS, "rows": ROWS}


def of_one(slope: str) -> str:
    return slope.replace("A{", "a{").replace("Z{", "z{")


@pytest.mark.parametrize("activation", SLOPES)
def test_rows_4_18_to_4_21_one_sample(layered, activation):
    net, slope = layered(ONE.format(activation=activation)), of_one(SLOPES[activation])
    net.states("da{L}", "a{L} - y")
    net.states("dz{L}", f"da{{L}} * ({slope.replace('{l}', '{L}')})")
    net.states("dz{l}", f"(W{{l+1}}' @ dz{{l+1}}) * ({slope})")
    net.states("db{l}", "dz{l}")
    net.states("dW{l}", "dz{l} @ (a{l-1})'")
    net.refutes("dz{l}", f"(W{{l+1}}' @ dz{{l+1}}) * ({slope}) + da{{l}}")


@pytest.mark.parametrize("activation", SLOPES)
def test_rows_4_18_to_4_21_samples_in_columns(layered, activation):
    net, slope = layered(COLUMNS.format(activation=activation)), SLOPES[activation]
    net.states("dA{L}", "(A{L} - Y) / m")
    net.states("dZ{L}", f"dA{{L}} * ({slope.replace('{l}', '{L}')})")
    net.states("dZ{l}", f"(W{{l+1}}' @ dZ{{l+1}}) * ({slope})")
    net.states("db{l}", "sum(dZ{l}, axis=m)")
    net.states("dW{l}", "dZ{l} @ A{l-1}'")


@pytest.mark.parametrize("activation", SLOPES)
def test_rows_4_18_to_4_21_samples_in_rows(layered, activation):
    net, slope = layered(ROWS.format(activation=activation)), SLOPES[activation]
    net.states("dA{L}", "(A{L} - Y) / m")
    net.states("dZ{L}", f"dA{{L}} * ({slope.replace('{l}', '{L}')})")
    net.states("dZ{l}", f"(dZ{{l+1}} @ W{{l+1}}') * ({slope})")
    net.states("db{l}", "sum(dZ{l}, axis=m)")
    net.states("dW{l}", "A{l-1}' @ dZ{l}")


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("text", [ONE, COLUMNS, ROWS], ids=["one", "columns", "rows"])
def test_rows_4_18_to_4_21_in_numbers_at_any_depth(layered, text, depth):
    text = text.format(activation="tanh")
    sizes = {"L": depth, "n": [3, 5, 2, 3, 2][: depth + 1]}
    names = [t.name for t in derive.parse(text).sized(sizes)[0].program.parameters]
    assert len(names) == 2 * depth
    layered(text).holds_at(**sizes)


def test_rows_4_18_to_4_21_the_layouts_agree(numeric):
    columns, rows, one = (derive.parse(t.format(activation="sigmoid")) for t in (COLUMNS, ROWS, ONE))
    values = numeric.draw(columns.program, seed=2)
    turned = {k: v.T if v.ndim == 2 else v for k, v in values.items()}
    found = [evaluate(m.gradient().derivation.formulas, v) for m, v in ((columns, values), (rows, turned))]
    samples = values["X"].shape[1]
    single = one.gradient().derivation.formulas
    for t, bar in columns.gradient().derivation.formulas.gradients:
        np.testing.assert_allclose(found[0][bar.name], found[1][bar.name].T, rtol=1e-12)
        parts = [
            evaluate(single, {**values, "x": values["X"][:, s], "y": values["Y"][:, s]})[f"d{t.name}"]
            for s in range(samples)
        ]
        np.testing.assert_allclose(np.mean(parts, axis=0), found[0][bar.name], rtol=1e-11)


def test_row_4_16_forward_against_backward_accumulation():
    """Products of layer Jacobians: from the input n_0 columns are carried along, from the cost one row."""
    model, _ = derive.parse(COLUMNS.format(activation="relu")).sized({"L": 3, "n": [784, 30, 20, 10]})
    costs = layer_costs(model.repeated)
    assert costs is not None
    sizes = {"m": 1, **{d.name: d.default for d in model.program.dims}}
    forward, backward = size(costs.forward, sizes), size(costs.backward, sizes)
    widths = [784, 30, 20, 10]
    products = sum(2 * a * b for a, b in itertools.pairwise(widths))
    assert backward is not None
    assert products <= backward <= products + 5 * sum(widths)
    assert forward == widths[0] * backward
    shown = [repr(e) for e in (costs.cotangent, costs.tangent, costs.directions)]
    assert shown == ["2·m·n{l-1}·n{l} + 2·m·n{l}", "2·m·n{l-1}·n{l} + 2·m·n{l}", "n{0}"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_4_23_the_six_steps(layout):
    gradient = derive.parse(LAYOUTS[layout].format(activation="sigmoid")).gradient()
    _, found = stages(gradient)
    assert [s.title.partition(" {}")[0].removesuffix(", and keep") for s in found] == [
        "Feed forward",
        "Compute the cost",
        "Find the cotangents behind the last layer",
        "Go back through the layers",
        "Find the gradients by",
        "Find the gradients by",
    ]
    made = [[e.out.name for e in s.equations] for s in found]
    assert made == [["A{0}", "Z{l}", "A{l}"], ["loss"], ["dZ{L}"], ["dZ{l}"], ["db{l}"], ["dW{l}"]]
    text = algorithm_of(gradient)
    assert "for l = L−1, …, 1:" in text
    assert text.splitlines()[-2:] == ["     θ = θ − lr g", "     with lr = 1/10"]


def test_row_4_23_unrolled_into_one_vector():
    net = codegen.compile(derive.parse(ROWS.format(activation="tanh")), sizes={"L": 2, "n": [3, 5, 2]}, target="numpy")
    params = net.init_params(1)
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(7, 3)), "Y": rng.normal(size=(7, 2))}
    value, parts = net.loss_and_grad(params, **data)
    flat, slope = net.loss_and_grad_flat(np.concatenate([params[k].ravel() for k in net.PARAMS]), **data)
    assert flat == pytest.approx(value)
    np.testing.assert_allclose(slope, np.concatenate([parts[k].ravel() for k in net.PARAMS]))
