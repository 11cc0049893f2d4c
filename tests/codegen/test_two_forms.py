"""Two forms of a model in emitted modules: dropout, batch norm with running statistics, noise, states."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import source
from codegen.data import load
from codegen.train import train
from derive.errors import GradcError
from derive.evaluate import evaluate

MODELS = Path(__file__).parents[1] / "models"
TARGETS = pytest.mark.parametrize("target", ["numba", "numpy"])
DROPOUT = """dims h = 50
batch n
input X : [n, h]
param w : [h] ~ ones()
noise M : [n, h] ~ bernoulli(1 - 0.3)
D = X * M / (1 - 0.3) if training else X
minimize sum(D @ w) / n
optimizer sgd(lr=0.1)
output D
"""


@cache
def built(text, target="numba", dtype="float64"):
    return codegen.compile(derive.parse(text), target=target, dtype=dtype)


def two_forms():
    return (MODELS / "two_forms.gc").read_text()


def data(n=11, dtype="float64"):
    rng = np.random.default_rng(5)
    return {"X": rng.normal(size=(n, 3)).astype(dtype), "Y": np.eye(2, dtype=dtype)[rng.integers(0, 2, n)]}


@TARGETS
def test_dropout_keeps_the_mean_and_is_off_in_forward(target):
    net = built(DROPOUT, target)
    params, x = net.init_params(), np.ones((4000, 50))
    mean = net.loss(params, X=x, seed=1) / 50
    assert mean == pytest.approx(1, abs=0.01)
    assert net.loss(params, X=x, seed=1, training=False) == pytest.approx(50)
    np.testing.assert_array_equal(net.forward(params, X=x)["D"], x)


@TARGETS
def test_a_seed_draws_the_same_noise_again(target):
    net = built(DROPOUT, target)
    params, x = net.init_params(), np.ones((7, 50))
    first, again, other = (net.loss_and_grad(params, X=x, seed=s) for s in (3, 3, 4))
    assert first[0] == again[0] == net.loss(params, X=x, seed=3)
    np.testing.assert_array_equal(first[1]["w"], again[1]["w"])
    assert not np.array_equal(first[1]["w"], other[1]["w"])
    assert net.loss(params, X=x) == net.loss(params, X=x, seed=0)


@TARGETS
def test_noise_that_is_given_wins(target):
    net = built(DROPOUT, target)
    params, x = net.init_params(), np.ones((7, 50))
    mask = (np.arange(350).reshape(7, 50) % 3 > 0).astype(float)
    loss, grads = net.loss_and_grad(params, X=x, M=mask, seed=9)
    assert loss == pytest.approx(mask.sum() / 0.7 / 7)
    np.testing.assert_allclose(grads["w"], mask.sum(0) / 0.7 / 7)
    with pytest.raises(ValueError, match=r"M has shape \(6, 50\), expected \[n, h\] = \(7, 50\); n is 7 in X"):
        net.loss(params, X=x, M=mask[:6])


def test_each_noise_has_a_generator_of_its_own():
    text = DROPOUT.replace("noise M", "noise E : [n, h] ~ normal(0, 1)\nnoise M").replace(
        "(D @ w)", "(D @ w + 0*E @ w)"
    )
    x = np.ones((7, 50))
    net = built(text)
    one = net.loss_and_grad(net.init_params(), X=x, seed=2)[1]["w"]
    given = net.loss_and_grad(net.init_params(), X=x, seed=2, E=np.zeros((7, 50)))[1]["w"]
    np.testing.assert_array_equal(one, given)


@TARGETS
@pytest.mark.parametrize("name", ["two_forms", "two_forms_layers"])
def test_gradients_are_right(name, target):
    result = codegen.check(derive.load(MODELS / f"{name}.gc"), target=target)
    assert result.ok, result


@TARGETS
def test_both_forms_are_those_of_the_definition(target):
    model, net = derive.parse(two_forms()), built(two_forms(), target)
    given, params = data(), net.init_params(1)
    params["mu"][...], params["s"][...] = [0.3, -0.2, 0.1, 0.5], [0.5, 2.0, 1.0, 3.0]
    mask, e = np.ones((11, 4)), np.array([0.1, -0.2])
    everything = {**params, **given, "M": mask, "e": e}
    trained, used = evaluate(model.program, everything), evaluate(model.inference.program, everything)
    assert net.loss(params, **given, M=mask, e=e) == pytest.approx(float(trained["loss"]))
    assert net.loss(params, **given, training=False) == pytest.approx(float(used["loss"]))
    found = net.forward(params, X=given["X"])
    np.testing.assert_allclose(found["P"], used["P"])
    np.testing.assert_allclose(found["A"], used["A"])
    after = net.next_state(params, **given)
    assert list(after) == net.STATES == ["mu", "s", "count"]
    for name, value in after.items():
        np.testing.assert_allclose(value, trained[f"{name}_next"])


@TARGETS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_running_statistics_are_those_of_the_batches(target, dtype):
    net, given = built(two_forms(), target, dtype), data(dtype=dtype)
    params = net.init_params(3)
    frozen, mu, s = params["W"].copy(), np.zeros(4), np.ones(4)
    net.fit(params, given, epochs=2, batch_size=4, shuffle=False, lr=0.0)
    for _ in range(2):
        for batch in (slice(0, 4), slice(4, 8), slice(8, 11)):  # the last one is short
            z = given["X"][batch].astype(np.float64) @ frozen
            mu = 0.9 * mu + 0.1 * z.mean(0)
            s = 0.9 * s + 0.1 * z.var(0)
    rtol = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(params["mu"], mu, rtol=rtol)
    np.testing.assert_allclose(params["s"], s, rtol=rtol)
    assert params["count"] == 6
    assert params["mu"].dtype == np.dtype(dtype)


def test_targets_draw_the_same_noise_and_end_at_the_same_parameters():
    found = []
    for target in ("numba", "numpy"):
        net = built(two_forms(), target)
        params = net.init_params(2)
        history = net.fit(params, data(), epochs=3, batch_size=4, seed=6)
        found.append(({k: a.copy() for k, a in params.items()}, history[-1]["loss"]))
    (one, loss), (other, again) = found
    assert loss == pytest.approx(again, rel=1e-10)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12)


def test_fit_repeats_itself_by_its_seed():
    net = built(DROPOUT)
    x = np.random.default_rng(0).normal(size=(20, 50))
    ends = []
    for seed in (1, 1, 2):
        params = net.init_params()
        net.fit(params, {"X": x}, epochs=2, batch_size=20, seed=seed, shuffle=False)
        ends.append(params["w"].copy())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


@TARGETS
def test_no_optimizer_touches_a_state(target):
    text = two_forms().replace("update mu = 0.9*mu + 0.1*m\n", "")
    net = built(text.replace("adam(lr=0.01)", "adamw(lr=0.1, clip_norm=0.1)"), target)
    params = net.init_params()
    params["mu"][...] = 5.0
    net.fit(params, data(), epochs=2, batch_size=4)
    np.testing.assert_array_equal(params["mu"], 5.0)


@TARGETS
def test_an_average_of_the_parameters_has_the_states_as_they_are(target):
    net = built(two_forms().replace("adam(lr=0.01)", "adam(lr=0.01, ema=0.9)"), target)
    params, average = net.init_params(), {}
    net.fit(params, data(), epochs=2, batch_size=4, average=average)
    np.testing.assert_array_equal(average["mu"], params["mu"])
    assert average["count"] == 6
    assert not np.array_equal(average["W"], params["W"])


@TARGETS
def test_states_are_saved_with_the_parameters(target, tmp_path):
    net = built(two_forms(), target)
    params = net.init_params()
    net.fit(params, data(), epochs=1, batch_size=4)
    net.save(tmp_path / "p.npz", params)
    again = net.load(tmp_path / "p.npz")
    assert list(again) == list(net.PARAMS) == ["W", "V", "g", "b", "mu", "s", "count"]
    for name, array in params.items():
        np.testing.assert_array_equal(again[name], array)
    np.testing.assert_array_equal(net.forward(again, X=data()["X"])["P"], net.forward(params, X=data()["X"])["P"])
    with pytest.raises(ValueError, match="parameter mu is missing"):
        net.forward({k: a for k, a in params.items() if k != "mu"}, X=data()["X"])


def test_the_flat_gradient_is_zero_for_states():
    net = built(two_forms())
    params = net.init_params()
    theta = np.concatenate([a.ravel() for a in params.values()])
    loss, grad = net.loss_and_grad_flat(theta, **data(), seed=4)
    again, grads = net.loss_and_grad(params, **data(), seed=4)
    assert loss == again
    assert list(grads) == ["W", "V", "g", "b"]
    np.testing.assert_array_equal(grad, np.concatenate([*(g.ravel() for g in grads.values()), np.zeros(9)]))


@TARGETS
def test_noise_may_be_all_that_there_is(target):
    net = built("batch n\ndims k = 3\nnoise z : [n, k] ~ normal(0, 1)\nparam s ~ ones()\ny = s * z\noutput y", target)
    assert net.forward(net.init_params(), seed=1)["y"].shape == (1, 3)
    given = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(net.forward(net.init_params(), z=given)["y"], given)


def test_data_are_not_called_like_options():
    text = DROPOUT.replace("input X : [n, h]", "input X : [n, h]\ninput seed : [n]").replace(
        "/ n\n", "/ n + sum(seed)\n"
    )
    with pytest.raises(GradcError, match="seed is an option of the module's functions: give the input another name"):
        source(derive.parse(text))


def test_the_module_tells_of_both_forms():
    text = source(derive.parse(DROPOUT))
    assert "What is computed otherwise when it is not trained:\n\n    D = X\n" in text
    assert "from X, M (M drawn by `seed` where not given)" in text
    assert "def loss(params, /, *, training=True, seed=0, **inputs):" in text
    assert "def forward(params, /, **inputs):" in text


DIGITS = """dims d = 64, h = 64, c = 10
batch n
block normed(Z; h)
  param g : [h] ~ ones()
  param b : [h] ~ zeros()
  state mu : [h] ~ zeros()
  state s : [h] ~ ones()
  m = mean(Z, axis=0)
  v = mean((Z - m)^2, axis=0)
  update mu = 0.9*mu + 0.1*m
  update s = 0.9*s + 0.1*v
  N = (Z - m) / sqrt(v + 1e-5) if training else (Z - mu) / sqrt(s + 1e-5)
  Y = g * N + b
  return Y
end
block dropped(X, p; n, h)
  noise M : [n, h] ~ bernoulli(1 - p)
  Y = X * M / (1 - p) if training else X
  return Y
end
input X : [n, d]
target T : [n, c] one_hot
param W : [d, h] ~ he_normal()
param V : [h, c] ~ glorot_uniform()
N = normed(X @ W, h)
A = dropped(relu(N), 0.2, n, h)
P = softmax(A @ V, axis=1)
minimize cross_entropy(T, P)
optimizer adam(lr=0.01)
output P
"""


def test_a_network_with_both_learns_digits():
    model = derive.parse(DIGITS)
    done = train(model, load("digits", model.program), epochs=12, batch_size=32, seed=1)
    last = done.epochs[-1]
    assert last.held is not None
    assert last.held.accuracy is not None
    assert last.held.accuracy >= 0.96
    assert last.train.accuracy is not None
    assert last.train.accuracy >= 0.99
    assert np.all(done.params["N_s"] != 1)
