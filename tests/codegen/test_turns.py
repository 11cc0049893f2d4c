"""Samples in turns that stay in the cache: the same gradient for every batch, where memory is what a step waits for."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import blocks, threads
from codegen.compiler import load_source, text_of
from codegen.explain import explained
from codegen.prepared import prepared
from codegen.steps import Blocks
from derive import promises

MODELS = Path(__file__).parents[1] / "models"
LOGISTIC = """
dims d = 53
batch n
input X : [n, d]
target y : [n]
param w : [d]
param b
p = sigmoid(X @ w + b)
minimize bce(y, p) + l2(w)/(2*n)
optimizer sgd(lr=0.1)
"""
TURN = 3  # samples


@pytest.fixture
def turns(monkeypatch):
    """Turns of few samples, whatever they cost, and threads from as many samples on as there are threads."""
    monkeypatch.setattr(blocks, "turn", lambda *_: TURN)
    for name in ("LEAST", "_REGION", "_ADDITION", "_ROWS"):
        monkeypatch.setattr(threads, name, 0)


def taken(model, **choices):
    """The samples of a turn, if there are any."""
    steps = prepared(model, **choices).functions()["step"].plan.steps
    return next((s.samples for s in steps if isinstance(s, Blocks)), None)


# totals that are numbers; streams of derivatives; integers and places; a loop over time; penalties after them
@pytest.mark.parametrize("name", [None, "derivative_poisson", "labels", "gru", "rules"])
def test_turns_find_the_same_gradient(name, turns):
    model = derive.parse(LOGISTIC) if name is None else derive.load(str(MODELS / f"{name}.gc"))
    whole = load_source(text_of(prepared(model, target="numpy")))
    for number in (1, 2):
        made = prepared(model, threads=number)
        text = text_of(made)
        assert ("prange" in text) == (number > 1)
        assert taken(model, threads=number) == TURN
        module = load_source(text)
        for count in (1, TURN, 2 * TURN - 1, 2 * TURN, 2 * TURN + 1, 4 * TURN + 1, 11 * TURN + 2):
            params = whole.init_params(seed=count)
            for a in params.values():
                a[...] = np.random.default_rng(count).normal(0.7, 0.4, a.shape)
            rng, sizes = np.random.default_rng(count), {**made.sizes, made.program.batch.name: count}
            drawn = {t.name: (t.dtype, promises.draw(t, sizes, rng)) for t in made.program.data}
            data = {k: a if not np.ndim(a) else np.ascontiguousarray(a, np.int64 if kind == "int" else float)
                    for k, (kind, a) in drawn.items()}  # fmt: skip
            data = {t.name: data[t.name] for t in made.functions()["step"].inputs}
            wanted, gradient = whole.loss_and_grad(params, **data)
            value, found = module.loss_and_grad(params, **data)
            assert value == pytest.approx(wanted, rel=1e-11)
            for k, g in gradient.items():
                np.testing.assert_allclose(found[k], g, 1e-11, 1e-11 * max(1, np.abs(g).max()))


def test_training_in_turns_finds_the_same_weights(turns):
    trained = []
    for choices in ({"target": "numpy"}, {}, {"threads": 2}):
        module = load_source(text_of(prepared(derive.parse(LOGISTIC), **choices)))
        rng = np.random.default_rng(5)
        data = {"X": rng.standard_normal((41, 53)), "y": rng.integers(0, 2, 41).astype(float)}
        params = module.init_params(seed=1)
        module.fit(params, data, epochs=3, batch_size=17, shuffle=False)
        trained.append(params)
    for other in trained[1:]:
        for name, a in trained[0].items():
            np.testing.assert_allclose(other[name], a, 1e-11, 1e-11)


def test_turns_are_taken_where_memory_is_what_a_step_waits_for():
    assert 500 < taken(derive.parse(LOGISTIC)) < 700
    assert 500 < taken(derive.parse(LOGISTIC), threads=2) < 700
    assert taken(derive.parse(LOGISTIC.replace("d = 53", "d = 5"))) is None  # of so few numbers all stay there
    wide = LOGISTIC.replace("param w : [d]", "param w : [d]\nparam W : [d, d]").replace("X @ w", "tanh(X @ W) @ w")
    assert taken(derive.parse(wide)) is None  # it has more to compute with each number
    large = LOGISTIC.replace("d = 53", "d = 5000")
    assert taken(derive.parse(large)) is None  # a turn would have few samples
    apart = LOGISTIC.replace("sigmoid(X @ w + b)", "softmax(X @ w + b)")
    assert taken(derive.parse(apart)) is None  # samples read one another


def test_a_workspace_holds_one_turn_and_the_explanation_tells_of_it():
    made = prepared(derive.parse(LOGISTIC))
    text = explained(made, 10_000)
    samples = taken(derive.parse(LOGISTIC))
    assert f"some {samples} samples at a time" in text
    assert "product 10000 × 53 by 53 × 1: 1,060,000 operations" in text  # of all turns together
    assert re.search(rf"p +{8 * (2 * samples + 1) / 1024:.1f} KiB  steps 1\.2", text)  # of one turn
    module = load_source(text_of(made))
    params = module.init_params(0)
    sizes = []
    for count in (10_000, 20_000):
        module.loss_and_grad(params, X=np.ones((count, 53)), y=np.ones(count))
        sizes += [work.size for work in module._WORK.values()]
    assert sizes[0] == sizes[1]  # and not that of all samples
