"""Windows in compiled code: products read them in place, channels last, no branches in pooling; values are right."""

from __future__ import annotations

import re

import numpy as np
import pytest

import derive
from codegen.compiler import build, load_source
from derive import pipeline
from derive.evaluate import evaluate

NETWORKS = {
    "plain": """batch n
input X : [n, 2, 13, 11]
target Y : [n, 3] one_hot
A = conv2d(X, 9, 3, relu)
B = max_pool2d(A, 2)
C = conv2d(B, 8, 2, tanh)
S = flat_dense(C, 3)
minimize cross_entropy(Y, softmax(S, axis=1))""",
    "even": """batch n
input X : [n, 1, 13, 13]
target Y : [n, 2]
A = conv2d(X, 8, 2, relu)
B = max_pool2d(A, 2)
S = flat_dense(B, 2)
minimize mse(Y, S)""",
    "padded": """batch n
input X : [n, 1, 9, 9]
target Y : [n, 2]
A = conv2d(X, 8, 3, tanh, pad=1)
B = conv2d(A, 10, 3, stride=2, pad=1)
C = avg_pool2d(B, 2)
S = flat_dense(C, 2)
minimize mse(Y, S)""",
    "sequence": """batch n
input X : [n, 4, 23]
target Y : [n, 2]
A = conv1d(X, 12, 3, tanh)
B = max_pool1d(A, 3, stride=2)
C = conv1d(B, 8, 4, dilation=2)
S = flat_dense(C, 2)
minimize mse(Y, S)""",
    "few": """batch n
input X : [n, 1, 13, 13]
target Y : [n, 2]
A = conv2d(X, 3, 4, relu)
B = max_pool2d(A, 2)
S = flat_dense(B, 2)
minimize mse(Y, S)""",
    "broad": """batch n
input X : [n, 1, 10, 7]
target Y : [n, 2]
A = conv2d(X, 27, 3, tanh)
B = conv2d(A, 13, 4, stride=2)
S = flat_dense(B, 2)
minimize mse(Y, S)""",
    "image": """dims c = 9
input X : [11, 10]
param W : [c, 3, 2]
param V : [8, c, 2, 3]
A[o,i:9,j:9] = tanh(sum[p:3,q:2] X[i+p,j+q] * W[o,p,q])
B[o,i:8,j:7] = sum[e:9,p:2,q:3] A[e,i+p,j+q] * V[o,e,p,q]
minimize sum(sin(B))""",
}


def values_of(program, dtype, count):
    rng = np.random.default_rng(3)
    sizes = {d.name: d.default for d in program.dims} | ({"n": count} if program.batch else {})
    values = {}
    for t in program.declared:
        shape = [int(str(sizes.get(str(a), a))) for a in t.axes]
        values[t.name] = rng.normal(size=shape).astype(dtype)
        if t.property("one_hot"):
            values[t.name] = np.eye(shape[1], dtype=dtype)[rng.integers(0, shape[1], shape[0])]
    return values, sizes


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_gradients_are_what_the_definition_says(name):
    program = derive.parse(NETWORKS[name]).program
    made = pipeline.gradient(program, program.parameters)
    values, sizes = values_of(program, "float64", 5)
    expected = evaluate(made.stable, values, sizes)
    module = load_source(build(program))
    params = {t.name: values.pop(t.name) for t in program.parameters}
    value, gradient = module.loss_and_grad(params, **values)
    np.testing.assert_allclose(value, expected[program.objective.name], rtol=1e-11)
    for t, bar in made.stable.gradients:
        np.testing.assert_allclose(gradient[t.name], expected[bar.name], rtol=1e-9, atol=1e-11, err_msg=t.name)


def step(name, dtype="float64"):
    source = build(derive.parse(NETWORKS[name]).program, dtype=dtype)
    return source[source.index("def _loss_and_grad(") : source.index("# Kernels: what")]


def test_windows_are_read_in_place_and_nothing_is_laid_out_for_them():
    text = step("plain")
    assert len(re.findall(r"_windowed_plus_\w+\(", text)) == 2
    assert len(re.findall(r"_windowed_sum_\w+\(", text)) == 2
    assert "int_work" not in text  # nor are there tables: where windows lie is known
    assert "= X[" not in text  # the image is not copied
    assert re.search(r"A = _view\(work, .*, \(n, 11, 9, 9\)\)  # its axes in another order", text)


def test_few_channels_stay_where_they_are():
    assert "another order" not in step("few")


def test_a_position_in_a_window_is_a_variable_beside_what_reads_it():
    text = step("plain")
    assert "int_work" not in text or "first" not in re.findall(r"^    (\w+) = _view\(int_work", text, re.MULTILINE)
    assert re.search(r"first_at = 3\.0 if first_best < first_next_3 else first_at", text)
    assert len(re.findall(r"^ +dA_Z\[.*\] = ", step("even"), re.MULTILINE)) == 4


def test_a_relu_and_its_slope_are_within_the_loops_of_the_windows_and_nothing_of_them_is_kept():
    text = step("even")
    assert not re.search(r"^    (A|dA) = ", text, re.MULTILINE)
    assert "dA_Z = A_Z  # written over it" in text  # 2 i + 1 is no 2 j: only what this round has read is written
    assert re.search(r"# A\[.*\n    # B\[", text)  # formulas stand where they are computed
    assert not re.search(r"^    A = ", step("plain"), re.MULTILINE)
    assert re.search(r"^    A = ", step("sequence"), re.MULTILINE)  # tanh is not computed twice


def test_short_loops_over_channels_are_not_unrolled():
    assert len(re.findall(r"in range\(_uncounted\(8\)\):", step("even"))) == 2
    assert "_uncounted" not in step("padded") + step("few")
    assert re.search(r"^    dA = ", step("few"), re.MULTILINE)  # a loop that is no vector code takes up nothing


def test_pooling_of_what_overlaps_adds():
    assert re.search(r"dA\[.*\] \+= ", step("sequence"))


def test_weights_are_brought_in_order_once_and_not_for_each_sample():
    text = step("plain")
    copied = re.search(r"^( *)(\w+)\[.*\] = C_W\[\w+, \w+, \w+, \w+\]$", text, re.MULTILINE)
    assert copied
    samples = [m.end() for m in re.finditer(r"^    for \w+ in range\(n\):$", text, re.MULTILINE)]
    for m in re.finditer(r"^( +)\w+\[.*\] = C_W\[", text, re.MULTILINE):
        before = [k for k in samples if k < m.start()]
        last = text[before[-1] : m.start()] if before else "\n    x"
        assert re.search(r"^    \S", last, re.MULTILINE)  # another statement ended the loop over samples


def test_single_precision_agrees_with_double():
    program = derive.parse(NETWORKS["plain"]).program
    values, _ = values_of(program, "float64", 7)
    params = {t.name: values.pop(t.name) for t in program.parameters}
    _, want = load_source(build(program)).loss_and_grad(params, **values)
    single = {k: v.astype("float32") for k, v in values.items()}
    few = {k: v.astype("float32") for k, v in params.items()}
    _, found = load_source(build(program, dtype="float32")).loss_and_grad(few, **single)
    for name, a in want.items():
        np.testing.assert_allclose(found[name], a, rtol=0, atol=2e-5 * np.abs(a).max())
