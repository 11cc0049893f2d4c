"""`gradc bench`: that it times what it says; how long anything takes is not asserted."""

from __future__ import annotations

import pytest

import derive
from codegen import cli
from codegen.bench import bench
from codegen.prepared import prepared
from derive.errors import GradcError

MODEL = """model tiny
dims d = 11, h = 7, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h] ~ glorot_uniform()
param W2 : [h, c] ~ glorot_uniform()
A = relu(X @ W1)
Z = A @ W2
minimize cross_entropy(Y, softmax(Z, axis=1))
"""


def test_a_step_its_products_and_the_peak():
    found = bench(prepared(derive.parse(MODEL + "optimizer adam(lr=0.1)\n"), dtype="float32"), batch=5, rounds=2)
    names = [p.name.split(":")[0] for p in found.products]
    assert names == ["X W1", "A W2", "Aᵀ dZ", "dZ W2ᵀ", "Xᵀ dS"]
    assert sum(p.operations for p in found.products) == 2 * 5 * (2 * 11 * 7 + 3 * 7 * 3)
    assert found.step.operations > sum(p.operations for p in found.products)
    assert all(len(t.seconds) == 2 and min(t.seconds) > 0 for t in (found.step, *found.products, found.peak))
    text = str(found)
    assert text.startswith("tiny, float32, n = 5\n")
    assert "a step (of fit)" in text
    assert "its matrix products alone" in text


def test_without_an_optimizer_a_call_of_the_gradient_is_timed():
    found = bench(prepared(derive.parse("dims d = 5\nparam w : [d] ~ normal(0, 1)\nminimize sum(exp(w))\n")), rounds=1)
    assert "loss_and_grad" in found.step.name
    assert found.products == ()


def test_rounds_of_a_recurrence_count_as_often_as_they_run():
    text = """dims d = 5, s = 7
batch n
input X : [n, s]
param W : [d, d] ~ normal(0, 1)
param v : [d] ~ normal(0, 1)
H[0, x:n, j:d] = 0
H[t+1, x, j] = tanh(X[x, t] + sum[k] H[t, x, k] * W[k, j])
Q[t, x] = sum[k] H[t+1, x, k] * v[k]
minimize mean(Q^2)
"""
    net = derive.parse(text)
    found = bench(prepared(net), batch=3, rounds=1)
    assert 2 * 3 * 5 * 5 * 7 in {p.operations for p in found.products}


def test_what_cannot_be_timed_is_refused():
    with pytest.raises(GradcError, match="minimize"):
        bench(prepared(derive.parse("dims d = 5\ninput x : [d]\ny = exp(x)\n")))
    with pytest.raises(GradcError, match="numba"):
        bench(prepared(derive.parse(MODEL), target="numpy"))


def test_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "tiny.gc"
    path.write_text(MODEL)
    assert cli.run(["bench", str(path), "--batch", "5", "--rounds", "1", "--size", "h=13"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny, float64, n = 5\n")
    assert "5 × 11 by 11 × 13" in out
