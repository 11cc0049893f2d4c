"""Losses that are added, and outputs that are several, against plain NumPy."""

import numpy as np
import pytest

import codegen
import derive

SUM = """
dims d = 2
batch n
input X : [n, d]
target y : [n]
param w : [d] ~ normal(0, 1)
p = X @ w
q = tanh(p)
data = mse(y, p)
size = l2(w)
minimize data + 0.5*size + mae(y, q)
output q, p, data
"""


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_losses_add_up_and_outputs_are_several(target):
    net = codegen.compile(derive.parse(SUM), target=target)
    rng = np.random.default_rng(5)
    params, given = net.init_params(2), {"X": rng.normal(size=(7, 2)), "y": rng.normal(size=7)}
    w, x, y = params["w"], given["X"], given["y"]
    p = x @ w
    q, n = np.tanh(p), len(y)
    found = net.forward(params, X=x, y=y)
    assert list(found) == ["q", "p", "data"]
    np.testing.assert_allclose(found["q"], q)
    np.testing.assert_allclose(found["p"], p)
    np.testing.assert_allclose(found["data"], np.mean((y - p) ** 2))
    value, grads = net.loss_and_grad(params, **given)
    assert value == pytest.approx(np.mean((y - p) ** 2) + 0.5 * w @ w + np.mean(abs(y - q)))
    np.testing.assert_allclose(grads["w"], 2 * x.T @ (p - y) / n + w + x.T @ (np.sign(q - y) * (1 - q**2)) / n)
