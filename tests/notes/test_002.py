"""Table 002: element-wise operations and Jacobians, in numerator layout."""

from __future__ import annotations

import numpy as np
import pytest

UNARY = "dims n = 5\ninput x : [n]{promise}\nf = {body}\n"
LAYER = """dims n = 5, l = 3
input x : [l]
param W : [n, l]
param b : [n]
z = W @ x + b
a = {f}(z)
"""
NEURON = """dims l = 3
batch n
input X : [n, l]
param w : [l]
param b
z = X @ w + b
a = sigmoid(z)
"""
BINARY = "dims n = 5\ninput u : [n]\ninput v : [n]\n"
LOSSES = "batch n\ntarget y : [n] binary\ninput q : [n]\n"
SLOPES = {"sigmoid": "a[i] * (1 - a[i])", "tanh": "(1 + a[i]) * (1 - a[i])", "relu": "(z[i] > 0)"}


def test_rows_2_1_and_2_2_products_of_diagonals(notes):
    row = notes(UNARY.format(promise=" positive", body="exp(x)") + "g = log(f) + f^2\n")
    inner, outer = row.model.jacobian("f", "x"), row.model.jacobian("g", "f")
    assert inner.structure == "∂f/∂x = diag(f)"
    assert outer.structure.startswith("∂g/∂f = diag(")
    row.chain("g", "f", "x")  # diag(a) diag(b) = diag(a ⊙ b), and every entry off the diagonal is 0
    row.jacobian("g", "x", "S = diag((1 / f + 2 * f) * f)")
    both = notes(UNARY.format(promise=" positive", body="exp(x)") + "h = sin(x)\ns = f + h\n")
    both.jacobian("s", "x", "S[i:n, j:n] = (f[i] if i == j else 0) + (cos(x[i]) if i == j else 0)")
    both.jacobian("s", "x", "S = diag(f + cos(x))")
    inverse = notes(UNARY.format(promise=" positive", body="exp(x)") + "h = log(f)\n")
    assert inverse.jacobian("h", "x", "S[i:n, j:n] = i == j").structure == "∂h/∂x = I"
    assert np.allclose(inverse.numerical("h", "f") @ inverse.numerical("f", "x"), np.eye(5))


@pytest.mark.parametrize(
    ("body", "slope"),
    [("x^3", "3 * x^2"), ("sin(x)", "cos(x)"), ("1 / x", "-1 / x^2"), ("log(x) + exp(x)", "1 / x + exp(x)")],
)
def test_rows_2_3_and_2_5_unary_maps(notes, body, slope):
    row = notes(UNARY.format(promise=" positive", body=body))
    jacobian = row.jacobian("f", "x", f"S = diag({slope})")
    assert "diag(" in jacobian.structure
    entries = jacobian.expanded(size={"n": 5}).entries
    assert all(repr(e) == "0" for i, line in enumerate(entries) for j, e in enumerate(line) if i != j)


def test_row_2_4_identity(notes):
    row = notes(UNARY.format(promise="", body="1 * x"))
    assert row.jacobian("f", "x", "S[i:n, j:n] = i == j").structure == "∂f/∂x = I"


@pytest.mark.parametrize("function", SLOPES)
def test_rows_2_6_to_2_8_a_layer(notes, function):
    row = notes(LAYER.format(f=function))
    slope = SLOPES[function]
    row.jacobian("a", "z", f"S[i:n, j:n] = (i == j) * {slope}")
    row.jacobian("a", "b", f"S[i:n, j:n] = (i == j) * {slope}")
    row.jacobian("a", "x", f"S[i, j] = {slope} * W[i, j]")
    row.jacobian("a", "W", f"S[i:n, m:n, j:l] = (i == m) * {slope} * x[j]")
    for name in ("x", "b", "W"):
        row.chain("a", "z", name)
    structure = row.model.jacobian("a", "x").structure
    assert structure.startswith("∂a/∂x = diag(")
    assert structure.endswith(") W")


def test_row_2_7_an_affine_layer(notes):
    row = notes(LAYER.format(f="sigmoid"))
    assert row.jacobian("z", "x", "S = W").structure == "∂z/∂x = W"
    assert row.jacobian("z", "b", "S[i:n, j:n] = i == j").structure == "∂z/∂b = I"
    jacobian = row.jacobian("z", "W", "S[i:n, m:n, j] = (i == m) * x[j]")
    for number in range(1, 6):
        lines = str(jacobian.expanded(size={"n": 5, "l": 3}, at=(None, number, None))).splitlines()
        filled = [k for k, line in enumerate(lines, 1) if "x_1" in line and "x_2" in line and "x_3" in line]
        assert filled == [number]
        assert all("x" not in line for k, line in enumerate(lines, 1) if k != number)
    assert jacobian.partial.structure(at=(None, "i", None)).endswith("= e_i xᵀ")


def test_rows_2_9_and_2_10_one_neuron_and_a_batch(notes):
    row = notes(NEURON)
    assert row.jacobian("a", "z", "S = diag(a * (1 - a))").structure == "∂a/∂z = diag(a ⊙ (1 − a))"
    assert row.jacobian("z", "w", "S = X").structure == "∂z/∂w = X"
    assert row.jacobian("z", "b", "S[i:n] = 1").structure == "∂z/∂b = 1ₙ"
    jacobian = row.jacobian("z", "X", "S[i:n, s:n, j] = (i == s) * w[j]")
    assert [line.split()[-5:-1] for line in str(jacobian.expanded(at=(None, "i", None))).splitlines()][2] == [
        "w_1",
        "w_2",
        "⋯",
        "w_l",
    ]
    row.jacobian("a", "w", "S = diag(a * (1 - a)) @ X")
    row.jacobian("a", "b", "S = a * (1 - a)")
    row.jacobian("a", "X", "S[i:n, s:n, j] = (i == s) * a[i] * (1 - a[i]) * w[j]")
    for name in ("X", "w", "b"):
        row.chain("a", "z", name)


def test_row_2_11_binary_maps(notes):
    row = notes(BINARY + "f = u^2 * exp(v) + sin(u * v)\n")
    row.jacobian("f", "u", "S = diag(2 * u * exp(v) + v * cos(u * v))")
    row.jacobian("f", "v", "S = diag(u^2 * exp(v) + u * cos(u * v))")


@pytest.mark.parametrize(
    ("body", "by_u", "by_v"), [("u + v", "I", "I"), ("u - v", "I", "−I"), ("u * v", "diag(v)", "diag(u)")]
)
def test_row_2_12_sum_difference_product(notes, body, by_u, by_v):
    stated = {"I": "S[i:n, j:n] = i == j", "−I": "S[i:n, j:n] = -(i == j)"}
    row = notes(BINARY + f"f = {body}\n")
    for name, structure in (("u", by_u), ("v", by_v)):
        found = row.jacobian("f", name, stated.get(structure, f"S = {structure}"))
        assert found.structure == f"∂f/∂{name} = {structure}"


def test_rows_2_13_and_2_14_mean_squared_error(notes):
    row = notes(LOSSES + "e = (y - q)^2\nJ = sum(e) / n\n")
    assert row.jacobian("e", "q", "S = diag(-2 * (y - q))").structure == "∂e/∂q = 2 diag(q − y)"
    row.jacobian("J", "e", "S[i:n] = 1 / n")
    row.chain("J", "e", "q")  # (1/n … 1/n) · diag is a row
    row.jacobian("J", "q", "S = -2 / n * (y - q)")
    row.both_layouts("J", "q")


def test_row_2_15_binary_cross_entropy(notes):
    row = notes(LOSSES + "e = -(y * log(q) + (1 - y) * log(1 - q))\nJ = sum(e) / n\n")
    row.jacobian("e", "q", "S = diag((q - y) / (q * (1 - q)))")
    row.chain("J", "e", "q")
    row.jacobian("J", "q", "S = 1 / n * (q - y) / (q * (1 - q))")
    row.both_layouts("J", "q")
