"""Per-sample gradients are those of each sample alone, and sum to the gradient; what mixes samples is refused."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.points import points, small_sizes

HEAD = "dims d, h, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c]\nparam W : [d, h]\nparam b : [h]\nparam V : [h, c]\n"
MODELS = {
    "network": HEAD + "Z = tanh(X @ W + b) @ V\nminimize mse(Y, Z)",
    "penalty": HEAD + "Z = tanh(X @ W + b) @ V\nminimize mse(Y, Z) + 0.1*l2(W) + sum(b)^2",
    "prepared": HEAD + "U = W*W\nR = sum(U, axis=1)\nZ = tanh(X @ U + b) @ V\nminimize mse(Y, Z) + sum(R^2)",
    "columns": (
        "dims d, c\nbatch n\ninput X : [d, n]\ntarget Y : [c, n] one_hot(axis=0)\nparam W : [c, d]\nparam b : [c]\n"
        "P = softmax(W @ X + col(b), axis=0)\nminimize cross_entropy(Y, P)"
    ),
    "recurrent": (
        "dims T, d, h\nbatch n\ninput X : [n, T, d]\nparam W : [d, h]\nparam b : [h]\nH[0, s:n, j:h] = 0\n"
        "H[t+1, s, j] = tanh(sum[i] X[s, t, i]*W[i, j] + H[t, s, j] + b[j])\nminimize sum(H^2)/n"
    ),
    "gathered": (
        "dims u, k\nbatch n\ninput i : [n] labels(u)\ntarget y : [n]\nparam W : [u, k]\nparam b : [k]\n"
        "p[s] = sum[q] W[i[s], q]*b[q]\nminimize mse(y, p)"
    ),
}


@pytest.mark.parametrize("x", ["W", "b"])
@pytest.mark.parametrize("name", MODELS)
def test_they_are_the_gradients_of_single_samples(name, x):
    model = derive.parse(MODELS[name])
    program = model.program
    values = next(points(program, small_sizes(program, {}), 1, lambda p: True))
    each = model.per_sample(x)
    assert each.program.outputs[0].axes[0] == program.batch
    for stage in (each.derivation.raw, each.derivation.formulas, each.derivation.stable):
        found = evaluate(stage, values)[each.derivation.results[0].name]
    gradient = model.gradient(x).derivation.raw
    bar = gradient.gradients[0][1].name
    count = len(found)
    np.testing.assert_allclose(found.sum(0), evaluate(gradient, values)[bar], rtol=1e-10, atol=1e-12)
    for k in range(count):  # the objective is a mean, so that of one sample is n times as large
        alone = dict(values)
        for t in program.declared:
            if program.batch in t.axes:
                alone[t.name] = np.take(values[t.name], [k], t.axes.index(program.batch))
        np.testing.assert_allclose(count * found[k], evaluate(gradient, alone)[bar], rtol=1e-10, atol=1e-12)


def test_they_print_without_the_sum():
    text = "dims d\nbatch n\ninput X : [n, d]\ntarget y : [n]\nparam w : [d]\nminimize sum((X @ w - y)^2)/(2*n)"
    assert str(derive.parse(text).per_sample("w")) == "result = (1/n) diag(X w − y) X"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("Z = X @ W\nC[s, j] = Z[s, j] - (sum[q] Z[q, j])/n\nminimize sum(C^2)", "mixes samples"),
        ("Z = X @ W\nminimize sum(Z^2)^2", "no sum over samples"),
        ("Z = X @ W\nminimize max(Z)", "mixes samples"),
        ("Z = X @ W\nminimize sum(Z^2)*sum(W^2)", "no sum over samples"),
        ("minimize sum(W^2)", "no sample acts"),
        ("Z = X @ W\nG = Z @ Z'\nminimize sum(G)", "mixes samples"),
    ],
)
def test_what_is_no_sum_over_samples_kept_apart_is_refused(lines, why):
    model = derive.parse(f"dims d, h\nbatch n\ninput X : [n, d]\nparam W : [d, h]\n{lines}")
    with pytest.raises(derive.GradcError, match=why):
        model.per_sample("W")


def test_without_a_batch_or_an_objective_there_are_none():
    with pytest.raises(derive.GradcError, match="has no batch"):
        derive.parse("dims d\nparam w : [d]\nminimize sum(w^2)").per_sample("w")
    with pytest.raises(derive.GradcError, match="no objective"):
        derive.parse("dims d\nbatch n\ninput X : [n, d]\nparam w : [d]\ny = X @ w").per_sample("w")
