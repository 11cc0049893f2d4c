"""The workspace: never more than what is alive at once takes, as much as the module allocates, less when recomputed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from codegen.compiler import load_source, text_of
from codegen.explain import explained, main_function
from codegen.memory import memory_of
from codegen.prepared import prepared, with_residuals
from codegen.steps import Rounds, reads_of, scalars_of, written_by
from derive.evaluate import extent

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.gc"))
NET = """dims d = 5, h = 17, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W : [d, h] ~ normal(0, 1)
param V : [h, c] ~ normal(0, 1)
minimize cross_entropy(Y, softmax(tanh(X @ W) @ V, axis=1))
optimizer adam(lr=0.01)
"""
LSTM = (Path(__file__).parents[1] / "models" / "lstm.gc").read_text()


def bytes_of(t, sizes):
    return 8 * int(np.prod([extent(a, sizes) for a in t.axes]))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_no_workspace_exceeds_what_liveness_needs(path):
    for batch in (3, 128):
        _, function, sizes = main_function(prepared(derive.load(path)), batch)
        found = memory_of(function, sizes, 8)
        assert found.alive <= found.results <= found.bound - found.strip
        # the same bound from the steps alone: of each size as many tensors as some step finds alive
        plan, alive = function.plan, {}
        views = {v.tensor: v.source for s in plan.steps if isinstance(s, Rounds) for v in s.after}
        touched = [
            {views.get(t, t) for t in {*reads_of(s), *written_by(s)} - scalars_of(s)} & set(plan.places)
            for s in plan.steps
        ]
        for k in range(len(touched)):
            before, after = set().union(*touched[: k + 1]), set().union(*touched[k:])
            for t in before & after:
                alive.setdefault((t.dtype, tuple(sorted(map(repr, t.axes))), bytes_of(t, sizes)), [0] * len(touched))[
                    k
                ] += 1
        assert found.results <= sum(size * max(counts) for (_, _, size), counts in alive.items())


def test_what_is_told_is_what_the_module_allocates():
    made = prepared(derive.parse(NET))
    module = load_source(text_of(made))
    x, y = np.ones((128, 5)), np.eye(3)[np.arange(128) % 3]
    module.loss_and_grad(module.init_params(), X=x, Y=y)
    _, function, sizes = main_function(made, 128)
    assert module._WORK[module.DTYPE].nbytes == memory_of(function, sizes, 8).workspace
    assert "+ 2.1 KiB the optimizer's state" in explained(made)


def test_recomputing_takes_less_memory_and_both_costs_are_told():
    kept = prepared(derive.parse(LSTM), sizes={"T": 29})
    again = with_residuals(kept, "recompute")
    sizes = [memory_of(*main_function(p, 16)[1:], 8).workspace for p in (kept, again)]
    assert sizes[1] < sizes[0]
    text = explained(kept)
    assert "results of rounds kept:" in text
    assert "results of rounds recomputed:" in text
    assert "recomputed:" not in explained(prepared(derive.parse(NET))).replace("recomputed: nothing", "")
