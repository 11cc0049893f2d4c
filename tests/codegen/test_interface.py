"""What an emitted module refuses, and how it says so: every mistake is met in Python, before compiled code."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from codegen.compiler import build, load_source

TEXT = """model net
dims d = 7, c = 3
batch n
input X : [n, d]
input s
target Y : [n, c] {promise}
param W : [d, c] ~ normal(0, 1)
param b : [c]
P = softmax(X @ W * s + b, axis=1)
minimize cross_entropy(Y, P)
optimizer sgd(lr=0.1)
output P
"""

LABELS = """model net
dims d = 7, c = 3
batch n
input X : [n, d]
target t : [n] labels(c)
param W : [d, c] ~ normal(0, 1)
minimize cross_entropy(t, softmax(X @ W, axis=1))
"""


@pytest.fixture(scope="module")
def net():
    return load_source(build(derive.parse(TEXT.format(promise="one_hot")).program, target="numpy"))


@pytest.fixture(scope="module")
def labelled():
    return load_source(build(derive.parse(LABELS).program, target="numpy"))


@pytest.fixture
def good(net):
    return net.init_params(0), {"X": np.ones((5, 7)), "s": 0.5, "Y": np.eye(3)[[0, 1, 2, 0, 1]]}


def test_the_tables(net):
    assert net.DIMS == {"d": 7, "c": 3}
    assert net.PARAMS == {"W": (7, 3), "b": (3,)}
    params = net.init_params(0)
    assert params["W"].base is params["b"].base
    np.testing.assert_array_equal(params["W"], net.init_params(0)["W"])
    assert np.any(params["W"] != net.init_params(1)["W"])


def test_parameters_are_one_vector_that_begins_where_a_line_of_a_cache_does(net, tmp_path):
    """However they come, so that no register of them lies in two lines; what is one vector is not copied."""
    made = net.init_params(0)
    net.save(tmp_path / "net.npz", made)
    for params in (made, net.load(tmp_path / "net.npz")):
        vector = net._vector(params)
        assert vector is params["W"].base
        assert vector.__array_interface__["data"][0] % 64 == 0
        np.testing.assert_array_equal(vector, np.concatenate([made["W"].ravel(), made["b"]]))
        vector[:] = np.arange(24)
        assert params["b"].tolist() == [21, 22, 23]
        made = net.init_params(0)
    copied = net._vector({k: a.copy() for k, a in made.items()})
    assert copied.__array_interface__["data"][0] % 64 == 0
    np.testing.assert_array_equal(copied, made["W"].base)


@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_vectors_are_as_long_as_asked_for(net, size):
    for kind in (np.dtype("float32"), np.float64, np.int64):
        vector = net._aligned(size, kind, np.zeros)
        assert (vector.shape, vector.dtype, vector.flags.writeable) == ((size,), kind, True)
        assert not vector.any()
        assert size == 0 or vector.__array_interface__["data"][0] % 64 == 0


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("X", np.ones((5, 6)), ValueError, "X has shape (5, 6), expected [n, d] = (5, 7)"),
        ("X", np.ones(7), ValueError, "X has shape (7,), expected [n, d] = (7, 7)"),
        ("X", np.ones((5, 7), np.float32), TypeError, "X.astype(np.float64)"),
        ("X", np.ones((5, 7), np.int64), TypeError, "X has dtype int64, this module computes in float64"),
        ("X", np.ones((7, 5)).T, ValueError, "X is not C-contiguous: np.ascontiguousarray(X)"),
        ("X", [[1.0] * 7] * 5, TypeError, "X is a list, expected a NumPy array"),
        ("Y", np.eye(3), ValueError, "Y has shape (3, 3), expected [n, c] = (5, 3); n is 5 in X"),
        ("Y", np.full((5, 3), 1 / 3), ValueError, "Y needs exactly one 1, and 0 elsewhere, along axis 1"),
        ("s", "half", TypeError, "s is a str"),
        ("s", np.ones(2), ValueError, "s has shape (2,), expected [] = ()"),
    ],
)
def test_refused_inputs(net, good, name, value, error, words):
    params, inputs = good
    assert net.loss(params, **inputs) > 0
    with pytest.raises(error) as caught:
        net.loss_and_grad(params, **{**inputs, name: value})
    assert words in str(caught.value)
    with pytest.raises(error):
        net.fit(params, {**inputs, name: value}, epochs=1)


def test_refused_names(net, good):
    params, inputs = good
    with pytest.raises(ValueError, match="input Y is missing; expected X, s, Y"):
        net.loss(params, X=inputs["X"], s=1.0)
    with pytest.raises(ValueError, match="unknown input Z"):
        net.loss(params, **inputs, Z=1)
    assert net.forward(params, **inputs).keys()  # Y is the model's, and not needed here


def test_refused_params(net, good):
    params, inputs = good
    with pytest.raises(ValueError, match=r"W has shape \(3, 7\), expected \[d, c\] = \(7, 3\)"):
        net.loss({**params, "W": np.ones((3, 7))}, **inputs)
    with pytest.raises(ValueError, match=r"theta has shape \(5,\), expected \(24,\)"):
        net.loss_and_grad_flat(np.ones(5), **inputs)
    frozen = {k: a.copy() for k, a in params.items()}
    frozen["b"].flags.writeable = False
    with pytest.raises(ValueError, match="b cannot be written to"):
        net.fit(frozen, inputs, epochs=1)
    with pytest.raises(ValueError, match="batch_size is 0"):
        net.fit(params, inputs, epochs=1, batch_size=0)


def test_non_finite_values_pass(net, good):
    params, inputs = good
    inputs["X"][0, 0] = np.nan
    assert np.isnan(net.loss(params, **inputs))


def test_labels(labelled):
    params, X = labelled.init_params(0), np.ones((3, 7))
    exact = labelled.loss(params, X=X, t=np.array([0, 1, 2]))
    assert labelled.loss(params, X=X, t=np.array([0, 1, 2], np.uint8)) == exact
    for t in ([0, 1, 3], [-1, 0, 1]):
        with pytest.raises(ValueError, match="t needs labels from 0 to c - 1"):
            labelled.loss(params, X=X, t=np.array(t))
    with pytest.raises(TypeError, match="t has dtype float64, expected integers"):
        labelled.loss(params, X=X, t=np.array([0.0, 1.0, 2.0]))


def test_an_empty_batch_does_not_crash(net):
    params = net.init_params(0)
    assert net.forward(params, X=np.ones((0, 7)), s=1.0)["P"].shape == (0, 3)


@pytest.mark.parametrize(
    ("promise", "bad"),
    [
        ("simplex", np.ones((2, 3))),
        ("binary", np.full((2, 3), 0.5)),
        ("signs", np.zeros((2, 3))),
        ("positive", np.zeros((2, 3))),
        ("counts", np.full((2, 3), 0.5)),
    ],
)
def test_other_promises(promise, bad):
    module = load_source(build(derive.parse(TEXT.format(promise=promise)).program, target="numpy"))
    with pytest.raises(ValueError, match=promise):
        module.loss(module.init_params(0), X=np.ones((2, 7)), s=1.0, Y=bad)


def test_docstring_holds_model_and_formulas(net):
    assert "P = softmax(X @ W * s + b, axis=1)" in net.__doc__
    assert "dW = " in net.__doc__


def test_an_output_that_only_counts_samples_asks_for_data():
    text = "dims d = 3\nbatch n\ninput X : [n, d]\nparam w : [d]\nR = sum(w^2) / n\nminimize R + sum(X)\noutput R"
    for target in ("numba", "numpy"):
        module = load_source(build(derive.parse(text).program, target=target))
        found = module.forward({"w": np.ones(3)}, X=np.ones((5, 3)))["R"]
        assert found == pytest.approx(3 / 5)


@pytest.mark.parametrize("shuffle", [False, True])
def test_data_that_may_not_be_changed_is_trained_on_all_the_same(shuffle):
    text = (
        "dims d = 2\nbatch n\ninput X : [n, d]\ntarget y : [n]\nparam w : [d] ~ normal(0, 1)\nminimize mse(y, X @ w)\n"
    )
    net = load_source(build(derive.parse(text + "optimizer sgd(lr=0.1)\n").program))
    rng = np.random.default_rng(5)
    data = {"X": rng.normal(size=(7, 2)), "y": rng.normal(size=7)}
    fixed = {k: a.copy() for k, a in data.items()}
    for a in fixed.values():
        a.flags.writeable = False
    found = []
    for given in (fixed, data):
        params = net.init_params(3)
        net.fit(params, given, epochs=3, batch_size=3, shuffle=shuffle)  # the last batch is a single sample
        found.append(params["w"])
    np.testing.assert_array_equal(*found)
