"""Second derivatives against JAX: `hessian`, `jvp` of `grad`, `vmap` of `grad`, Gauss and Newton by `jvp` and `vjp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import codegen
import derive
from derive.points import points, small_sizes

jax = pytest.importorskip("jax")
peer = pytest.importorskip("peers.with_jax")
formulas = pytest.importorskip("peers.formulas")
jnp = jax.numpy

NETWORK = """dims d, h, c
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W : [d, h]
param b : [h]
param V : [h, c]
A = tanh(X @ W + b)
Z = A @ V
P = softmax(Z, axis=1)
minimize cross_entropy(Y, P)
"""
LOGISTIC = """dims d
batch n
input X : [n, d]
target y : [n] binary
param w : [d]
p = sigmoid(X @ w)
minimize bce(y, p) + sum(w^4)
"""
COVARIANCE = """dims d
batch n
input X : [n, d]
param L : [d, d]
S = L @ L' + eye(d)
minimize logdet(S)/2 + trace(X @ inv(S) @ X')/(2*n)
"""


def scores(v: dict[str, Any]) -> Any:
    return jnp.tanh(v["X"] @ v["W"] + v["b"]) @ v["V"]


def entropy(Y: Any, Z: Any) -> Any:
    return -(Y * jax.nn.log_softmax(Z, axis=1)).sum(1).mean()


def logistic(v: dict[str, Any]) -> Any:
    z = v["X"] @ v["w"]
    return (jax.nn.softplus(z) - v["y"] * z).mean() + (v["w"] ** 4).sum()


def covariance(v: dict[str, Any]) -> Any:
    S = v["L"] @ v["L"].T + jnp.eye(len(v["L"]))
    return jnp.linalg.slogdet(S)[1] / 2 + jnp.trace(v["X"] @ jnp.linalg.inv(S) @ v["X"].T) / (2 * len(v["X"]))


MODELS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "network": (NETWORK, lambda v: entropy(v["Y"], scores(v))),
    "logistic": (LOGISTIC, logistic),
    "covariance": (COVARIANCE, covariance),
}
ZOO = ("attention", "layer_norm", "conv2d")


def at(model: derive.Differentiable) -> dict[str, np.ndarray]:
    return next(points(model.program, small_sizes(model.program, {}), 4, lambda p: True))


def close(found: Any, want: Any) -> None:
    scale = max(1e-6, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(found, np.asarray(want), rtol=1e-9, atol=1e-11 * scale)


def of(objective: Callable[[dict[str, Any]], Any], values: dict[str, np.ndarray], name: str) -> Callable[[Any], Any]:
    """The objective as a function of one variable."""
    return lambda x: objective({**values, name: x})


@pytest.mark.parametrize("name", MODELS)
def test_hessians_and_their_diagonals(name):
    text, objective = MODELS[name]
    model = derive.parse(text)
    values = at(model)
    for t in model.program.parameters:
        want = np.asarray(jax.hessian(of(objective, values, t.name))(values[t.name]))
        close(model.hessian(t.name).result(values), want)
        size = values[t.name].size
        diagonal = np.diag(want.reshape(size, size)).reshape(values[t.name].shape)
        close(model.hessian_diagonal(t.name).result(values), diagonal)


@pytest.mark.parametrize("name", [*MODELS, *ZOO])
def test_products_over_all_parameters_are_the_jvp_of_grad(numeric, name):
    if name in MODELS:
        text, objective = MODELS[name]
    else:
        text, objective = numeric.zoo[name], formulas.zoo(peer)[name]
    model = derive.parse(text)
    program = model.program
    values, sizes = at(model), small_sizes(program, {})
    built = {d.name: sizes[d.name] for d in program.dims if d.derived is None}
    data = {t.name: values[t.name] for t in program.data}
    r = np.random.default_rng(1)
    params = {t.name: values[t.name] for t in program.parameters}
    along = {k: np.asarray(r.normal(size=a.shape)) for k, a in params.items()}
    slope = jax.grad(lambda p: objective({**values, **p}))
    want = jax.jvp(slope, (params,), (along,))[1]
    net = codegen.compile(model, target="numpy", products=True, sizes=built)
    found = net.hvp(params, along, **data)
    largest = max(float(np.abs(a).max()) for a in want.values())
    for k, a in want.items():
        np.testing.assert_allclose(found[k], a, rtol=1e-9, atol=1e-11 * largest)


@pytest.mark.parametrize("x", ["W", "b", "V"])
def test_gauss_and_newton_by_jvp_and_vjp(x):
    model = derive.parse(NETWORK)
    values = at(model)
    v = np.random.default_rng(2).normal(size=values[x].shape)

    def output(a: Any) -> Any:
        return scores({**values, x: a})

    Z, moved = jax.jvp(output, (values[x],), (v,))
    bent = jax.jvp(jax.grad(lambda z: entropy(values["Y"], z)), (Z,), (moved,))[1]
    want = jax.vjp(output, values[x])[1](bent)[0]
    product = model.gauss_newton(x, of="Z")
    close(product.result({**values, product.direction: v}), want)


@pytest.mark.parametrize("x", ["W", "b", "V"])
def test_per_sample_gradients_by_vmap(x):
    model = derive.parse(NETWORK)
    values = at(model)

    def one(a: Any, row: Any, target: Any) -> Any:
        return entropy(target[None], scores({**values, "X": row[None], x: a}))

    want = jax.vmap(jax.grad(one), in_axes=(None, 0, 0))(values[x], values["X"], values["Y"])
    close(model.per_sample(x).result(values), want / len(values["X"]))


def test_third_derivatives():
    model = derive.parse(LOGISTIC)
    values = at(model)
    want = jax.jacfwd(jax.hessian(of(logistic, values, "w")))(values["w"])
    close(model.hessian("w").jacobian("result", "w").result(values), want)
