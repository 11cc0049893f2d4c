"""Blocks of samples on threads: the same gradient for every batch, and one thread where samples depend on others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import cli, threads
from codegen.compiler import load_source, source, text_of
from codegen.explain import explained
from codegen.prepared import prepared
from codegen.steps import Blocks
from derive import promises
from derive.errors import GradcError

MODELS = Path(__file__).parents[1] / "models"
TINY = """
dims d = 5, h = 3
batch n
input X : [n, d]
target Y : [n, h]
param W : [d, h]
param b : [h]
param s ~ constant(0.5)
Z = s * X @ W + b
minimize mean((Z - Y)^2) + 0.1 * sum(W^2)
optimizer sgd(lr=0.1)
"""


@pytest.fixture
def always(monkeypatch):
    """Threads from as many samples on as there are threads."""
    for name in ("LEAST", "_REGION", "_ADDITION", "_ROWS"):
        monkeypatch.setattr(threads, name, 0)


def drawn(program, sizes, count, dtype, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {**sizes, program.batch.name: count}
    made = {t.name: promises.draw(t, sizes, rng) for t in program.data}
    kinds = {t.name: np.int64 if t.dtype == "int" else dtype for t in program.data}
    return {k: np.ascontiguousarray(a, kinds[k]) if np.ndim(a) else a for k, a in made.items()}


def alike(model, **choices):
    """Compare one thread with two, twice, from a single sample to an odd number of them."""
    one, two = (prepared(model, threads=k, **choices) for k in (1, 2))
    alone, together = (load_source(text_of(p)) for p in (one, two))
    assert two.functions()["step"].block is not None
    tolerance = 1e-11 if choices.get("dtype") != "float32" else 2e-5
    for count in (1, 2, 3, 17):
        params = alone.init_params(seed=count)
        for a in params.values():
            a[...] = np.random.default_rng(count).normal(0.7, 0.4, a.shape)
        data = drawn(two.program, two.sizes, count, alone.DTYPE, count)
        data = {t.name: data[t.name] for t in two.functions()["step"].inputs}
        value, grads = alone.loss_and_grad(params, **data)
        found = [together.loss_and_grad(params, **data) for _ in range(2)]
        assert found[0][0] == found[1][0]
        assert found[0][0] == pytest.approx(value, rel=tolerance)
        for name, g in grads.items():
            np.testing.assert_array_equal(found[0][1][name], found[1][1][name])
            np.testing.assert_allclose(found[0][1][name], g, tolerance, tolerance * max(1, np.abs(g).max()))
    return alone, together


# streams of derivatives; what stands before the blocks; integers and places; a loop over time; penalties after them
@pytest.mark.parametrize("name", ["derivative_poisson", "labels", "gru", "rules"])
def test_blocks_of_samples_find_the_same_gradient(name, always):
    alike(derive.load(str(MODELS / f"{name}.gc")))


def test_blocks_train_to_the_same_weights_in_float32(always):
    alone, together = alike(derive.parse(TINY), dtype="float32")
    rng = np.random.default_rng(5)
    data = {"X": rng.standard_normal((41, 5)).astype("f"), "Y": rng.standard_normal((41, 3)).astype("f")}
    trained = []
    for module in (alone, together):
        params = module.init_params(seed=1)
        module.fit(params, data, epochs=3, batch_size=7, seed=2)  # shuffled; the last batch has 6
        trained.append(params)
    for name, a in trained[0].items():
        np.testing.assert_allclose(trained[1][name], a, 1e-5, 1e-6)


def test_rows_of_large_products_are_shared_out_and_training_adds_them_at_once(always):
    """Where W has many numbers its gradient is no private total: threads share out the rows of Xᵀ dZ."""
    text = TINY.replace("d = 5, h = 3", "d = 307, h = 59").replace(" + 0.1 * sum(W^2)", "")
    model = derive.parse(text.replace("param s ~ constant(0.5)\n", "").replace("s * X", "X"))
    alone, together = alike(model)
    two = prepared(model, threads=2)
    step = two.functions()["step"]
    assert [t.name for t in step.descended] == ["W"]
    assert step.block is not None
    assert "W" not in {t.name for t, _ in step.block.gradients}
    text = text_of(two)
    assert "_matmul_in_blocks(blocks, X.T, dZ, dW, rate, strip)" in text
    assert "its rows in 2 blocks, each on a thread" in explained(two, 8)
    rng = np.random.default_rng(5)
    data = {"X": rng.standard_normal((41, 307)), "Y": rng.standard_normal((41, 59))}
    trained = []
    for module in (alone, together):
        params = module.init_params(seed=1)
        module.fit(params, data, epochs=3, batch_size=7, seed=2)
        trained.append(params)
    for name, a in trained[0].items():
        np.testing.assert_allclose(trained[1][name], a, 1e-11, 1e-12)


def test_what_is_known_ahead_precedes_the_blocks_and_penalties_follow(always):
    step = prepared(derive.parse(TINY), threads=2).functions()["step"]
    call = next(s for s in step.plan.steps if isinstance(s, Blocks))
    assert step.block is not None
    assert {t.name for t in step.block.inputs} >= {"X", "Y"}
    assert [s.tensor.name for s in step.block.sums].count("ds") == 1  # a number: it is no slice of the gradient
    assert step.plan.steps.index(call) < len(step.plan.steps) - 1
    text = source(derive.parse(TINY), threads=2)
    assert "/ real(all_n)" in text or "/ all_n" in text or "(all_n" in text  # a mean is over all samples
    assert "for thread in prange(blocks):" in text
    assert text.index("def _loss_and_grad_block(") < text.index("def _loss_and_grad_blocks(")


def test_one_thread_is_the_file_without_threads():
    model = derive.parse(TINY)
    assert source(model, threads=1) == source(model)
    assert "prange" not in source(model)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("m = mean(Z, axis=0)\nE = Z - m", "takes a sum over all samples"),
        ("E = softmax(Z, axis=0)", "of all samples|over all samples|no sum over"),
        ("K = Z @ Z.T\nE = K @ Z", "pairs|other samples"),
    ],
)
def test_samples_that_read_one_another_stay_on_one_thread(lines, reason):
    text = TINY.replace("minimize mean((Z - Y)^2)", f"{lines}\nminimize mean((E - Y)^2)")
    made = prepared(derive.parse(text), threads=2)
    step = made.functions()["step"]
    assert step.block is None
    assert step.serial
    told = text_of(made)
    assert f"# on one thread: {step.serial}" in told
    assert "prange" not in told
    assert f"on one thread: {step.serial}" in explained(made, 8)
    assert re.search(reason, step.serial)


def test_samples_along_another_axis_stay_on_one_thread():
    step = prepared(derive.load(str(MODELS / "columns.gc")), threads=2).functions()["step"]
    assert step.serial == "the samples of X do not lie one after another"


def test_little_work_stays_on_one_thread_and_much_does_not():
    def least(text):
        steps = prepared(derive.parse(text), threads=2).functions()["step"].plan.steps
        return next(s.least for s in steps if isinstance(s, Blocks))

    assert least(TINY) > 1000
    wide = (
        TINY.replace("d = 5, h = 3", "d = 7000, h = 3000")
        .replace("s * X", "X")
        .replace("param s ~ constant(0.5)\n", "")
    )
    assert least(wide) == 32  # each thread reads all of W: for few samples that takes longer than they do
    assert least(TINY.replace("d = 5, h = 3", "d = 700, h = 300")) < 200


def test_explain_counts_what_runs_in_blocks(always):
    both = [explained(prepared(derive.parse(TINY), threads=k), 8) for k in (1, 2)]
    assert "2 blocks of samples, each on a thread, from 2 samples on" in both[1]
    assert "blocks" not in both[0]
    assert "product 5 × 8 by 8 × 3: 240 operations" in both[1]  # of all blocks together
    assert "recomputed: nothing" in both[1]


def test_threads_are_of_the_target_that_has_them():
    with pytest.raises(GradcError, match="threads are of the target numba"):
        source(derive.parse(TINY), threads=2, target="numpy")


def test_the_command_builds_for_threads(tmp_path):
    path = tmp_path / "tiny.gc"
    path.write_text(TINY)
    arguments = ["build", str(path), "--threads", "2", "-o", str(tmp_path / "tiny.py")]
    assert cli.run(arguments) == 0
    assert "prange(" in (tmp_path / "tiny.py").read_text()
