"""Diagonals of Hessians, Gauss–Newton products and derivatives of derivatives, against whole Hessians and Jacobians."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.points import points, small_sizes
from derive.products import price

SOFTMAX = """dims d, c
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W : [d, c]
Z = X @ W
P = softmax(Z, axis=1)
minimize cross_entropy(Y, P)
"""
LOGISTIC = """dims d
batch n
input X : [n, d]
target y : [n] binary
param w : [d]
z = X @ w
p = sigmoid(z)
minimize bce(y, p){more}
"""
NETWORK = """dims d, h, c
batch n
input X : [n, d]
target Y : [n, c]
param W : [d, h]
param b : [h]
param V : [h, c]
A = tanh(X @ W + b)
Z = A @ V
minimize mse(Y, Z) + 0.1*l2(W)
"""
SEPARABLE = "dims d\ninput a : [d]\nparam w : [d]\nminimize sum(a*exp(w) + w^4)"
VALLEY = "dims d\nparam x : [d]\nminimize sum[i:d-1] (100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)"
RECURRENT = """dims T, h
input x : [T, h]
param U : [h, h]
H[0, j:h] = 0
H[t+1, j] = tanh(x[t, j] + sum[k] H[t, k]*U[k, j])
minimize sum(H^2)
"""
MODELS = {
    "softmax": SOFTMAX,
    "logistic": LOGISTIC.format(more=""),
    "network": NETWORK,
    "separable": SEPARABLE,
    "valley": VALLEY,
    "recurrent": RECURRENT,
}


def at(model: derive.Differentiable) -> dict[str, np.ndarray]:
    return next(points(model.program, small_sizes(model.program, {}), 3, lambda p: True))


@pytest.mark.parametrize("name", MODELS)
def test_a_diagonal_is_that_of_the_hessian(name):
    model = derive.parse(MODELS[name])
    x, values = model.program.parameters[0].name, at(model)
    whole, diagonal = model.hessian(x), model.hessian_diagonal(x)
    matrix = whole.result(values).reshape(2 * (values[x].size,))
    np.testing.assert_allclose(diagonal.result(values).ravel(), np.diag(matrix), rtol=1e-11, atol=1e-12)
    assert diagonal.program.outputs[0].axes == model.program.parameters[0].axes
    assert price(diagonal.derivation) <= price(whole.derivation)


def test_diagonals_print_as_one_writes_them():
    lines = {
        "separable": "result = 12 w∘² + a ⊙ E, with E = exp(w)",
        "logistic": "result = (1/n) (X∘²)ᵀ (p ⊙ (1 − p))",
        "softmax": "result = (1/n) (X∘²)ᵀ (P ⊙ (1 − P))",
    }
    for name, line in lines.items():
        model = derive.parse(MODELS[name])
        diagonal = model.hessian_diagonal(model.program.parameters[0].name)
        assert str(diagonal) == line
        # nothing with two axes of the variable is computed on the way
        own = set(model.program.parameters[0].axes)
        derived = [e.out for e in diagonal.derivation.derived]
        assert all(sum(a in own for a in t.axes) <= len(own) for t in derived)


def by_jacobians(model: derive.Differentiable, of: str, x: str, v: np.ndarray, loss: str) -> np.ndarray:
    """Jᵀ H J v, with J of the model and H of a model of the loss alone."""
    values = at(model)
    everything = evaluate(model.program, values)
    J = model.jacobian(of, x).result(values)
    given = {**values, of: everything[of]}
    hessian = derive.parse(loss).hessian(of).result(given)
    size = everything[of].size
    matrix = J.reshape(size, -1)
    return (matrix.T @ hessian.reshape(size, size) @ matrix @ v.ravel()).reshape(v.shape)


@pytest.mark.parametrize("x", ["W", "b", "V"])
def test_gauss_and_newton_leave_out_how_the_output_bends(x):
    text = NETWORK.replace(" + 0.1*l2(W)", "")
    model = derive.parse(text)
    product = model.gauss_newton(x, of="Z")
    v = np.random.default_rng(0).normal(size=at(model)[x].shape)
    loss = "dims c\nbatch n\ntarget Y : [n, c]\nparam Z : [n, c]\nminimize mse(Y, Z)".replace("param Z", "input Z")
    want = by_jacobians(model, "Z", x, v, loss)
    found = product.result({**at(model), product.direction: v})
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)
    whole = model.hvp(x)
    with_bend = whole.result({**at(model), whole.direction: v})
    assert np.abs(with_bend - found).max() > 1e-4 or x == "V"


def test_where_the_output_is_linear_it_is_the_hessian_and_a_penalty_counts():
    for text, x, of in [(LOGISTIC.format(more=" + sum(w^4)"), "w", "z"), (SOFTMAX, "W", "Z")]:
        model = derive.parse(text)
        v = np.random.default_rng(1).normal(size=at(model)[x].shape)
        both = [model.gauss_newton(x, of=of), model.hvp(x)]
        one, two = (p.result({**at(model), p.direction: v}) for p in both)
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)


def test_over_all_parameters_it_has_an_output_for_each_and_is_positive_semidefinite():
    model = derive.parse(NETWORK)
    product = model.gauss_newton(of="Z")
    values, r = at(model), np.random.default_rng(0)
    for _ in range(5):
        along = {f"{x}_dot": r.normal(size=values[x].shape) for x in "WbV"}
        found = product.evaluate({**values, **along})
        assert sum((found[f"result_{x}"] * along[f"{x}_dot"]).sum() for x in "WbV") > 0


def test_gauss_and_newton_need_an_output_between_variables_and_objective():
    model = derive.parse(NETWORK)
    with pytest.raises(derive.GradcError, match="not computed by the model"):
        model.gauss_newton("W", of="X")
    with pytest.raises(derive.GradcError, match="A does not depend on V"):
        model.gauss_newton("V", of="A")
    with pytest.raises(derive.GradcError, match="linear in z"):
        derive.parse("dims d\nparam w : [d]\nz = exp(w)\nminimize sum(z)").gauss_newton("w", of="z")


@pytest.mark.parametrize("text", [LOGISTIC.format(more=""), SEPARABLE, VALLEY])
def test_a_third_derivative_is_the_jacobian_of_a_hessian(text):
    model = derive.parse(text)
    x, values = model.program.parameters[0].name, at(model)
    hessian = model.hessian(x)
    third = hessian.jacobian("result", x)
    found = third.result(values)
    size = values[x].size
    assert found.shape == (size, size, size)
    for k in range(size):
        moved = values[x].astype(complex)
        moved[k] += 1e-30j
        want = evaluate(hessian.program, {**values, x: moved})["result"].imag / 1e-30
        np.testing.assert_allclose(found[:, :, k], want, rtol=1e-10, atol=1e-12)
    diagonal = model.hessian_diagonal(x).jacobian("result", x)
    np.testing.assert_allclose(diagonal.result(values), np.einsum("iij->ij", found), rtol=1e-10, atol=1e-12)


def test_hessians_keep_their_structure():
    lines = {
        LOGISTIC.format(more=""): "result = (1/n) Xᵀ diag(p ⊙ (1 − p)) X",
        LOGISTIC.format(more=" + sum(w^2)/2"): "result = (1/n) Xᵀ diag(p ⊙ (1 − p)) X + I",
        SEPARABLE: "result = diag(12 w∘² + a ⊙ E), with E = exp(w)",
        "dims d, k\ninput A : [d, k]\ninput c : [d]\nparam w : [d]\nminimize sum((A' @ w)^2)/2 + sum(c*w^2)/2": (
            "result = A Aᵀ + diag(c)"
        ),
        "dims d\nparam w : [d]\nminimize log(sum(exp(w)))": "result = diag(softmax(w)) − softmax(w) softmax(w)ᵀ",
    }
    for text, line in lines.items():
        model = derive.parse(text)
        assert str(model.hessian("w")) == line
