"""The larger examples at small sizes: gradients, a few epochs of training, and the baselines they are held against."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codegen
import derive
from codegen import verify
from codegen.data import arrange, load
from codegen.solve import solve
from codegen.sources import Source
from derive.points import small_sizes
from derive.promises import draw

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL = {
    "lenet": {"r": 1, "g": 1, "f1": 2, "f2": 3, "h1": 5, "h2": 7, "c": 4},
    "factorization": {"u": 5, "v": 3, "k": 2},
    "char_transformer": {"L": 1, "c": 5, "s": 3, "d": 4, "h": 2, "e": 3, "f": 7},
    "char_gru": {"c": 5, "s": 4, "h": 3},
    "heat": {"h": 3},
    "burgers": {"h": 3},
}
SOLVED = {"breast_cancer": {"d": 3}, "elastic_net": {"d": 3}, "gaussian_process": {"d": 2}, "covariance": {"d": 3}}


def script(name: str) -> Any:
    """A script of the examples, imported."""
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [*SMALL, *SOLVED])
def test_every_gradient_is_right_by_every_method(name):
    result = verify.check(derive.load(EXAMPLES / f"{name}.gc"), {**SMALL, **SOLVED}[name], target="numpy")
    assert result.ok, str(result)


@pytest.mark.parametrize("name", SMALL)
def test_a_few_epochs_lower_the_loss(name):
    model, left = derive.load(EXAMPLES / f"{name}.gc").sized(SMALL[name])
    program, rng = model.program, np.random.default_rng(1)
    sizes = {**small_sizes(program, left), **left, program.batch.name: 12}
    net = codegen.compile(model, sizes=left, target="numpy", dtype="float64")
    data = {t.name: draw(t, sizes, rng) for t in program.declared if t.kind in ("input", "target")}
    params = net.init_params(0)
    before = net.loss(params, **data)
    net.fit(params, data, epochs=8, batch_size=4)
    assert net.loss(params, **data) < before


@pytest.mark.parametrize("method", ["trust-ncg", "lbfgsb"])
def test_logistic_regression_has_the_optimum_of_scikit_learn(method):
    linear = pytest.importorskip("sklearn.linear_model")
    model = derive.load(EXAMPLES / "breast_cancer.gc")
    data = load("breast_cancer", model.program)
    solution = solve(model, data, method=method, tol=1e-9, target="numpy")
    peer = linear.LogisticRegression(C=1, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    peer.fit(data.arrays["X"], data.arrays["y"])
    assert solution.converged
    np.testing.assert_allclose(solution.params["w"], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(solution.params["b"], peer.intercept_[0], atol=1e-6)
    assert solution.measured.accuracy == pytest.approx(peer.score(data.arrays["X"], data.arrays["y"]))


def test_the_hessian_of_logistic_regression_is_one_product_of_scaled_rows():
    hessian = derive.load(EXAMPLES / "breast_cancer.gc").hessian("w")
    assert str(hessian) == "result = (Xᵀ diag(p ⊙ (1 − p)) X + I)/n"


def test_an_elastic_net_has_the_optimum_of_scikit_learn_and_its_zeros():
    linear = pytest.importorskip("sklearn.linear_model")
    model = derive.load(EXAMPLES / "elastic_net.gc")
    data = load("diabetes", model.program)
    solution = solve(model, data, tol=1e-8, target="numpy")
    peer = linear.ElasticNet(alpha=2, l1_ratio=0.9, tol=1e-14, max_iter=10**6)
    peer.fit(data.arrays["X"], data.arrays["y"])
    w = solution.params["p"] - solution.params["q"]
    np.testing.assert_allclose(w, peer.coef_, atol=1e-6 * np.abs(peer.coef_).max())
    np.testing.assert_array_equal(w == 0, peer.coef_ == 0)
    assert (w == 0).any()
    assert not (solution.params["p"] * solution.params["q"]).any()
    assert sum(low for low, _ in solution.active.values()) == len(w) + int((w == 0).sum())


def test_the_covariance_of_maximum_likelihood_is_that_of_the_sample():
    model = derive.load(EXAMPLES / "covariance.gc")
    data = load("iris", model.program)
    solution = solve(model, data, tol=1e-9, target="numpy")
    triangle = np.tril(solution.params["W"])
    x = data.arrays["X"]
    assert solution.converged
    np.testing.assert_allclose(solution.params["m"], x.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(triangle @ triangle.T, np.cov(x.T, bias=True), atol=1e-6)


def test_a_gaussian_process_has_the_likelihood_of_scikit_learn():
    processes = pytest.importorskip("sklearn.gaussian_process")
    kernels = processes.kernels
    model = derive.load(EXAMPLES / "gaussian_process.gc")
    everything = load("diabetes", model.program)
    x, y = everything.arrays["X"][:90] * 20, (everything.arrays["y"][:90] - 150) / 80
    data = arrange(Source("part", {"X": x, "y": y}), model.program)
    solution = solve(model, data, tol=1e-8, target="numpy")
    kernel = kernels.ConstantKernel() * kernels.RBF() + kernels.WhiteKernel()
    peer = processes.GaussianProcessRegressor(kernel, alpha=0).fit(x, y)
    p = solution.params
    found = [2 * p["log_height"], p["log_length"], 2 * p["log_noise"]]
    assert solution.converged
    np.testing.assert_allclose(found, peer.kernel_.theta, atol=1e-3)
    assert solution.iterates[-1].loss == pytest.approx(-peer.log_marginal_likelihood_value_ / len(y), rel=1e-8)


def test_a_factorization_that_is_solved_finds_a_matrix_of_low_rank():
    r = np.random.default_rng(0)
    matrix = r.normal(size=(23, 2)) @ r.normal(size=(2, 17)) + r.normal(size=17)
    rows, columns = np.nonzero(r.random(matrix.shape) < 0.9)
    model = derive.load(EXAMPLES / "factorization.gc")
    entries = {"i": rows, "j": columns, "y": matrix[rows, columns]}
    data = arrange(Source("entries", entries), model.program, {"u": 23, "v": 17, "k": 2})
    solution = solve(model, data, tol=1e-7, target="numpy")
    p = solution.params
    found = p["a"][:, None] + p["b"] + p["U"] @ p["V"].T
    assert solution.converged
    assert np.sqrt(np.mean((found - matrix) ** 2)) < 0.05 * matrix.std()


def test_bigrams_are_probabilities_and_their_perplexity_is_that_of_a_count():
    characters = script("characters")
    rng = np.random.default_rng(0)
    text = rng.integers(0, 5, 400)
    p = characters.bigrams(text, 6)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert (p > 0).all()
    every = [p[a, b] for a, b in pairwise(text)]
    np.testing.assert_allclose(characters.bigram_perplexity(text, text, 6), np.prod(1 / np.array(every)) ** (1 / 399))


def test_windows_cover_the_text_and_foretell_the_next_character():
    characters = script("characters")
    for name in ("char_gru", "char_transformer"):
        model = derive.load(EXAMPLES / f"{name}.gc")
        text = np.arange(70) % 11
        arrays = characters.windows(model, text, 32).arrays
        time_first = name == "char_gru"
        now, following = (a.T if time_first else a for a in (arrays["t"], arrays["y"]))
        assert now.shape == (2, 32)
        np.testing.assert_array_equal(now.ravel(), text[:64])
        np.testing.assert_array_equal(following.ravel(), text[1:65])


def test_baselines_of_a_matrix_of_low_rank():
    factorization = script("factorization")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 17)) + rng.normal(size=17)
    missing = rng.random(matrix.shape) < 0.1
    found = factorization.baselines(matrix, missing, rank=2, rounds=500)
    errors = [factorization.error(filled, matrix, missing) for filled in found.values()]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_the_exact_solutions_solve_their_equations():
    pinn = script("pinn")
    x, t = (a.ravel() for a in np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.2, 0.9, 8)))
    d = 1e-3
    for name, flow, spread in (("heat", 0, 0.1), ("burgers", 1, 0.1 / np.pi)):
        u = pinn.PROBLEMS[name].exact
        at, left, right = u(x, t), u(x - d, t), u(x + d, t)
        by_t, by_x = (u(x, t + d) - u(x, t - d)) / (2 * d), (right - left) / (2 * d)
        residual = by_t + flow * at * by_x - spread * (left - 2 * at + right) / d**2
        assert np.abs(residual).max() < 1e-3, name
        np.testing.assert_allclose(u(np.ones(3), np.linspace(0, 1, 3)), 0, atol=1e-9)
