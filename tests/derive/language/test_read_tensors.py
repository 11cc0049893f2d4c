"""§4 in tensor notation: every operator against plain NumPy, on distinct prime extents."""

import numpy as np
import pytest
from scipy import special

from derive.evaluate import evaluate
from derive.expr import Num
from derive.language.parse import parse
from derive.language.read import read

HEAD = """dims n = 5, m = 3, k = 7
input X : [n, m]
input Y : [m, k]
input Z : [n, m]
input S : [n, n]
input v : [m]
input w : [n]
input u : [k]
input a
input T : [n, m, k]
input L : [n, 1]
input E : [1, m]
"""
rng = np.random.default_rng(7)
DATA = {
    "X": rng.normal(size=(5, 3)),
    "Y": rng.normal(size=(3, 7)),
    "Z": rng.normal(size=(5, 3)),
    "S": rng.normal(size=(5, 5)),
    "v": rng.normal(size=3),
    "w": rng.normal(size=5),
    "u": rng.normal(size=7),
    "a": np.array(0.7),
    "T": rng.normal(size=(5, 3, 7)),
    "L": rng.normal(size=(5, 1)),
    "E": rng.normal(size=(1, 3)),
}
X, Y, Z, S, v, w, u, a, T, L, E = DATA.values()


def value(expression, head=HEAD, data=DATA):
    program = read(parse(head + "R = " + expression))
    return evaluate(program, data)["R"]


def softmax(x, axis):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


CASES = {
    # element-wise, broadcasting
    "X + v": X + v,
    "v - X": v - X,
    "X - Z + v - 2": X - Z + v - 2,
    "X * Z / 2": X * Z / 2,
    "a / X": a / X,
    "X * L": X * L,
    "X + E": X + E,
    "L + E": L + E,
    "T + Y": T + Y,
    "T * u": T * u,
    "-X^2": -(X**2),
    "2^-v": 2.0**-v,
    "-2^2": np.array(-4.0),
    "X ** 2": X**2,
    "2^3^2": np.array(512.0),
    "1/3 + a": 1 / 3 + a,
    "pi * a": np.pi * a,
    # rows and columns
    "X + v'": X + v,
    "v'": v,
    "v' + v'": 2 * v,
    "v''": v,
    "col(w) * X": w[:, None] * X,
    "S - w'": S - w[None, :],
    "S - col(w)": S - w[:, None],
    "col(w) - w'": w[:, None] - w[None, :],
    "col(w) + v'": w[:, None] + v[None, :],
    "col(w) + v": w[:, None] + v[None, :],
    # matrices
    "X @ Y": X @ Y,
    "X'": X.T,
    "X.T @ Z": X.T @ Z,
    "X @ v": X @ v,
    "w @ X": w @ X,
    "w' @ X": w @ X,
    "w' @ X @ v": w @ X @ v,
    "w @ X @ v": w @ X @ v,
    "(w' @ X)'": w @ X,
    "v @ v": v @ v,
    "v' @ v": v @ v,
    "w @ v'": np.outer(w, v),
    "w @ v' @ Y": np.outer(w, v) @ Y,
    "col(w) @ v'": np.outer(w, v),
    "L @ E": L @ E,
    "2 * X @ Y": 2 * X @ Y,
    "X / 2 @ Y": X / 2 @ Y,
    "X @ Y * a": X @ Y * a,
    "X @ (Y * Y)": X @ (Y * Y),
    # reductions
    "sum(X)": X.sum(),
    "sum(X, axis=0)": X.sum(0),
    "sum(X, axis=1)": X.sum(1),
    "sum(X, axis=-1)": X.sum(1),
    "sum(X, axis=n)": X.sum(0),
    "mean(X)": X.mean(),
    "mean(T, axis=m)": T.mean(1),
    "max(T, axis=1)": T.max(1),
    "min(T, axis=k)": T.min(2),
    "prod(v)": v.prod(),
    "sum(a)": a,
    "max(X, Z)": np.maximum(X, Z),
    "min(X, 0)": np.minimum(X, 0),
    "max(0, v)": np.maximum(v, 0),
    "softmax(v)": softmax(v, 0),
    "softmax(X, axis=0)": softmax(X, 0),
    "softmax(T, axis=m)": softmax(T, 1),
    "softmax(softmax(X, axis=1), axis=0)": softmax(softmax(X, 1), 0),
    "log_softmax(X, axis=1)": np.log(softmax(X, 1)),
    # slices
    "X[0]": X[0],
    "X[n-1, 1]": X[4, 1],
    "v[2]": v[2],
    "X[1:4]": X[1:4],
    "T[:, 1]": T[:, 1],
    "T[1:n, :, 2:k-1]": T[1:, :, 2:-1],
    "w[1:] - w[:n-1]": w[1:] - w[:-1],
    "X[:, 1:3] @ Y[1:3]": X[:, 1:3] @ Y[1:3],
    "[v, 2*v]": np.stack([v, 2 * v]),
    "[1, 2, 3] * v[0:3]": np.array([1, 2, 3]) * v,
    # conditions
    "X > 0": X > 0,
    "X >= Z": X >= Z,
    "v == v": np.ones(3),
    "X if X > 0 else v": np.where(X > 0, X, v),
    "1 if a > 0 else 2": np.array(1.0),
    "not X > 0": X <= 0,
    "X > 0 and Z > 0": (X > 0) & (Z > 0),
    "X > 0 or Z > 0 or a > 5": (X > 0) | (Z > 0),
    "0 if X > 0 and not Z > 0 else X": np.where((X > 0) & ~(Z > 0), 0, X),
    "a if v else 0": np.where(v != 0, a, 0),
    # matrix functions, losses
    "trace(S)": np.trace(S),
    "trace(X' @ Z)": np.trace(X.T @ Z),
    "diag(S)": np.diag(S),
    "diag(v)": np.diag(v),
    "diag(v) @ Y": np.diag(v) @ Y,
    "norm(v)": np.linalg.norm(v),
    "norm(0*v)": np.array(0.0),
    "norm(v, 1)": np.abs(v).sum(),
    "norm(X)": np.linalg.norm(X),
    "mse(X, Z)": ((X - Z) ** 2).mean(),
    "bce(X > 0, sigmoid(Z))": -np.mean(np.log(np.where(X > 0, special.expit(Z), special.expit(-Z)))),
    # reductions in index notation anywhere
    "a + sum[i, j] X[i, j] * Z[i, j]": a + (X * Z).sum(),
    "mean[i] w[i]^2": (w**2).mean(),
    "sum(T)/2 - max[i] v[i]": T.sum() / 2 - v.max(),
}


@pytest.mark.parametrize("expression", CASES)
def test_value(expression):
    got = value(expression)
    assert np.shape(got) == np.shape(CASES[expression])
    np.testing.assert_allclose(got, CASES[expression], rtol=1e-12)


def test_a_row_keeps_its_kind_through_a_name():
    program = read(parse(HEAD + "r = w'\nR = S - r\nQ = r @ S @ w"))
    got = evaluate(program, DATA)
    np.testing.assert_allclose(got["R"], S - w[None, :])
    np.testing.assert_allclose(got["Q"], w @ S @ w)


def test_axes_and_letters_are_named_after_dims():
    program = read(parse(HEAD + "R = X @ Y + u"))
    (equation,) = program.equations
    assert repr(equation.left) == "R[n, k]"
    assert repr(equation.body) in ("sum[m] (X[n, m]·Y[m, k]) + u[k]", "u[k] + sum[m] (X[n, m]·Y[m, k])")


def test_hints_differ_within_an_equation():
    (equation,) = read(parse(HEAD + "R = S @ S @ S")).equations
    hints = [letter.hint for letter in equation.letters]
    stack = [equation.body]
    while stack:
        node = stack.pop()
        hints += [b.hint for b in getattr(node, "binders", ())]
        stack += node.children
    assert len(hints) == len(set(hints)) == 4


def test_a_literal_one_stands_at_place_zero():
    (equation,) = read(parse(HEAD + "R = X * L")).equations
    access = next(f for f in equation.body.args if f.tensor.name == "L")
    assert access.places[1] == Num(0)


def test_a_long_sum_and_a_deep_nest_are_read():
    assert value("+".join(["a"] * 3000)) == pytest.approx(3000 * 0.7)
    assert value("tanh(" * 150 + "a" + ")" * 150) > 0


def test_square_power_is_elementwise_with_a_notice():
    notices = []
    program = read(parse(HEAD + "R = S^2"), notices)
    np.testing.assert_allclose(evaluate(program, DATA)["R"], S**2)
    assert len(notices) == 1
    assert "S @ S" in notices[0]
