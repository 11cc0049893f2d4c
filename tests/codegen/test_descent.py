"""Training adds large gradients to parameters at once, and ends where training by separate gradients does."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from codegen.compiler import load_source, source

MODEL = """
dims d = 131, h = 137, g = 149, c = 3
batch n
input X : [n, d]
target Y : [n, c]
param W1 : [d, h] ~ glorot_uniform()
param b1 : [h]
param W2 : [h, g] ~ glorot_uniform()
param W3 : [g, c] ~ glorot_uniform()
A1 = tanh(X @ W1 + b1)
A2 = tanh(A1 @ W2)
minimize mse(Y, A2 @ W3){penalty}
optimizer {optimizer}
"""


def text(optimizer="sgd(lr=0.1)", penalty="", dtype="float64"):
    return source(derive.parse(MODEL.format(optimizer=optimizer, penalty=penalty)), dtype=dtype)


def data(module, n):
    rng = np.random.default_rng(3)
    return {k: rng.standard_normal((n, module.DIMS[e])).astype(module.DTYPE) for k, e in (("X", "d"), ("Y", "c"))}


def step(code):
    return code[code.index("def _loss_and_grad(") : code.index("def _epoch(")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_ends_where_gradient_by_gradient_does(dtype):
    module = load_source(text(dtype=dtype))
    given = data(module, 22)
    trained, by_hand = module.init_params(seed=1), module.init_params(seed=1)
    history = module.fit(trained, given, epochs=3, batch_size=11, shuffle=False, lr=0.05)
    for epoch in range(3):
        losses = []
        for k in (0, 11):
            value, gradient = module.loss_and_grad(by_hand, **{name: a[k : k + 11] for name, a in given.items()})
            losses.append(value)
            for name, g in gradient.items():
                by_hand[name] -= module.DTYPE.type(0.05) * g
        assert history[epoch]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    for name in by_hand:
        np.testing.assert_allclose(trained[name], by_hand[name], atol=100 * np.finfo(dtype).eps)


def test_only_large_products_are_added_and_nothing_reads_their_parameters_later():
    body = step(text())
    lines = [line.strip() for line in body.splitlines() if "_matmul" in line]
    onto = [k for k, line in enumerate(lines) if line.startswith("_matmul_onto(")]
    assert [lines[k].split(", ")[2] for k in onto] == ["dW2", "dW1"]
    assert not any("W2" in line for line in lines[onto[0] + 1 :])
    code = text()
    assert f"parts = (({131 * 137}, {131 * 137 + 137}), ({137 * (131 + 1 + 149)}, " in code  # b1 and W3 are left


@pytest.mark.parametrize(
    ("optimizer", "penalty"),
    [
        ("momentum(lr=0.1, beta=0.9)", ""),
        ("adam(lr=0.1)", ""),
        ("sgd(lr=exponential(0.1, 0.9))", ""),
        ("sgd(lr=0.1) for W1\noptimizer sgd(lr=0.2)", ""),
        ("sgd(lr=0.1)", " + 0.1 * sum(W1^2) + 0.1 * sum(W2^2)"),
    ],
)
def test_other_updates_need_the_gradient(optimizer, penalty):
    assert "_matmul_onto" not in text(optimizer, penalty)


def test_a_gradient_is_what_it_was():
    one, other = load_source(text()), load_source(text("adam(lr=0.1)"))
    params, given = one.init_params(seed=2), data(one, 7)
    (value, gradient), (expected, gradients) = (m.loss_and_grad(params, **given) for m in (one, other))
    assert value == expected
    for name, g in gradient.items():
        assert np.array_equal(g, gradients[name])
