"""Derivatives that are models again compile; what must stay finite does, in both precisions."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from codegen.compiler import build, load_source
from derive import pipeline
from derive.program import reads

TARGETS = ("numba", "numpy")
CURVED = """model curved
dims d = 5, m = 3
input A : [m, d]
input y : [m]
param x : [d] ~ normal(0, 1)
r = A @ x - y
s = tanh(r)
minimize sum(s^2) + sum(x^3)
output s
"""
LOGITS = """model logits
dims c = 3
batch n
input X : [n, c]
target Y : [n, c] one_hot
param s
P = softmax(X * s, axis=1)
minimize cross_entropy(Y, P)
output P
"""
BINARY = """model binary_logits
batch n
input x : [n]
target y : [n] binary
param s
p = sigmoid(x * s)
minimize bce(y, p)
output p
"""


@pytest.mark.parametrize("target", TARGETS)
def test_jacobian_hessian_and_product_compile(target):
    model = derive.parse(CURVED)
    r = np.random.default_rng(0)
    values = {"A": r.normal(size=(3, 5)), "y": r.normal(size=3), "x": r.normal(size=5)}
    hvp = model.hvp("x")
    for derived in (model.jacobian("s", "x"), model.hessian("x"), hvp):
        given = dict(values)
        if derived is hvp:
            given[hvp.direction] = r.normal(size=5)
        module = load_source(build(derived.program, target=target))
        program = pipeline.forward(derived.program)
        read = {t.name for e in program.equations for t in reads(e.body) if t.kind == "input"}
        found = module.forward({"x": given["x"]}, **{k: a for k, a in given.items() if k in read})
        assert set(found) == {"result"}
        np.testing.assert_allclose(found["result"], derived.result(given), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", TARGETS)
def test_huge_logits_stay_finite(target, dtype):
    X = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, -1e4]], dtype)
    net = load_source(build(derive.parse(LOGITS).program, target=target, dtype=dtype))
    params = {"s": np.ones((), dtype)}
    value, gradient = net.loss_and_grad(params, X=X, Y=np.eye(3, dtype=dtype))
    assert value == pytest.approx((0 + np.log(2) + 1e4 + np.log(2)) / 3, rel=1e-5)
    assert np.isfinite(gradient["s"])
    assert np.all(np.isfinite(net.forward(params, X=X)["P"]))
    two = load_source(build(derive.parse(BINARY).program, target=target, dtype=dtype))
    value, gradient = two.loss_and_grad(params, x=np.array([1e4, -1e4, 1e4], dtype), y=np.array([1, 0, 0], dtype))
    assert value == pytest.approx(1e4 / 3, rel=1e-5)
    assert gradient["s"] == pytest.approx(1e4 / 3, rel=1e-5)
