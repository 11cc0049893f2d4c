"""Training learns, repeats itself, and measures accuracy from what a target promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import data
from codegen.sources import Source
from codegen.train import RunStoppedError, train

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def test_xor_is_learned():
    model = derive.load(EXAMPLES / "xor.gc")
    found = data.load(str(EXAMPLES / "xor.csv"), model.program, targets=["y"])
    outcome = train(model, found, epochs=400, batch_size=4, holdout=0.0, dtype="float64")
    last = outcome.epochs[-1]
    assert last.held is None
    assert last.train.accuracy == 1.0
    assert last.train.loss < 0.05


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_digits_are_recognized_in_both_layouts(layout):
    pytest.importorskip("sklearn")
    model = derive.load(EXAMPLES / f"digits_{layout}.gc")
    outcome = train(model, data.load("digits", model.program), epochs=40, seed=0)
    held = outcome.epochs[-1].held
    assert held is not None
    assert held.accuracy is not None
    assert held.accuracy >= 0.96


def test_the_same_seed_gives_the_same_parameters_and_another_one_does_not():
    model = derive.load(EXAMPLES / "logistic_regression.gc")
    found = data.load(str(EXAMPLES / "two_classes.csv"), model.program, targets=["class"])
    first, again, other = (train(model, found, epochs=3, batch_size=7, seed=s).params for s in (1, 1, 2))
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert any(not np.array_equal(first[k], other[k]) for k in first)


def test_linear_regression_finds_the_plane():
    model = derive.load(EXAMPLES / "linear_regression.gc")
    found = data.load(str(EXAMPLES / "plane.csv"), model.program, targets=["y"])
    outcome = train(model, found, epochs=100, batch_size=16, dtype="float64")
    assert np.allclose(outcome.params["w"], [1.5, -2, 0.5], atol=0.1)
    assert outcome.epochs[-1].train.accuracy is None


def test_accuracy_with_class_numbers_and_scores():
    model = derive.parse(
        "dims d = 2, c = 3\nbatch n\ninput X : [n, d]\ntarget t : [n] labels(c)\nparam W : [d, c]\n"
        "P = softmax(X @ W, axis=1)\nminimize cross_entropy(t, P)\noptimizer sgd(lr=1)\noutput P\n"
    )
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    source = Source("s", features=np.stack([np.cos(angles), np.sin(angles)], 1), targets=np.arange(60) // 20)
    outcome = train(model, data.arrange(source, model.program), epochs=60, batch_size=10, holdout=0.2)
    assert outcome.epochs[-1].train.accuracy is not None
    assert outcome.epochs[-1].train.accuracy > 0.9


def test_a_run_without_a_finite_loss_stops():
    model = derive.parse(
        "batch n\ninput x : [n]\ntarget y : [n]\nparam w ~ ones()\nminimize mse(y, w*x)\noptimizer sgd(lr=1e8)\n"
    )
    source = Source("s", {"x": np.ones(8), "y": np.zeros(8)})
    with pytest.raises(RunStoppedError, match="after epoch"):
        train(model, data.arrange(source, model.program), epochs=100, batch_size=2, holdout=0.0)
