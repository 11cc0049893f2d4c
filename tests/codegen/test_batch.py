"""Products that are matrix products in every round of a loop: which they are, and that their values are right."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import pytest

import derive
from codegen.compiler import build, load_source
from derive import pipeline
from derive.evaluate import evaluate

MODELS = {
    "scores": """dims i = 7, j = 11, k = 13
batch n
param Q : [n2, i, k]
param K : [n2, j, k]
S[n,i,j] = sum[k] Q[n,i,k] * K[n,j,k]
minimize sum(sin(S))""",
    "heads": """dims i = 11, h = 2, k = 13
batch n
input X : [n, i, h, k]
param B : [h, k, k]
Q[n,i,h,m] = sum[k] X[n,i,h,k] * B[h,k,m]
S[n,h,i,j] = sum[k] Q[n,i,h,k] * X[n,j,h,k]
O[n,i,h,k] = sum[j] S[n,h,i,j] * X[n,j,h,k]
minimize sum(sin(O))""",
    "convolution": """dims c = 3, f = 5, h = 11, r = 3
batch n
input X : [n, c, h, h]
param W : [f, c, r, r]
param U : [c, h, h]
A[n,e,i,j] = X[n,e,i,j] * U[e,i,j]
C[n,o,i,j] = sum[e,p,q] A[n,e,i+p,j+q] * W[o,e,p,q]
minimize sum(sin(C)) / n""",
    "convolutions": """dims c = 3, e = 7, f = 5, h = 13, r = 3
batch n
input X : [n, c, h, h]
param V : [e, c, r, r]
param W : [f, e, r, r]
A[n,o,i,j] = sin(sum[e,p,q] X[n,e,i+p,j+q] * V[o,e,p,q])
C[n,o,i,j] = sum[e,p,q] A[n,e,i+p,j+q] * W[o,e,p,q]
minimize sum(sin(C)) / n""",
    "strided": """dims c = 5, f = 7, h = 13, r = 3
batch n
input X : [n, c, h, h]
param W : [f, c, r, r]
param U : [c, h, h]
A[n,e,i,j] = X[n,e,i,j] * U[e,i,j]
C[n,o,i:6,j:6] = sum[e,p,q] A[n,e,2*i+p,2*j+q] * W[o,e,p,q]
minimize sum(sin(C)) / n""",
    "groups": """dims g = 2, c = 3, f = 5, h = 11, r = 3
batch n
input X : [n, g, c, h, h]
param W : [g, f, c, r, r]
C[n,g,o,i,j] = sum[e,p,q] X[n,g,e,i+p,j+q] * W[g,o,e,p,q]
minimize sum(sin(C)) / n""",
}


def model(name):
    return derive.parse(MODELS[name].replace("n2", "3"))


def plain(source):
    """The module as Python runs it, its products by NumPy."""
    module = load_source(re.sub(r"^@(?:njit|_compiled|_allocating).*\n", "", source, flags=re.M))

    def matmul(a, b, out, strip=None):
        out[...] = a @ b

    def folded(fold, axis):
        return lambda a, y: fold(a, axis=axis, out=y)

    module._matmul = module._matmul_symmetric = module._matvec = matmul
    module._matmul_plus = lambda a, b, start, out, strip: np.add(a @ b, start, out=out)
    module._matmul_fixed = lambda m, k, n, *given: matmul(*given)
    module._matmul_fixed_plus = lambda m, k, n, *given: module._matmul_plus(*given)
    module._row_sums, module._row_maxima, module._column_sums = folded(np.sum, 1), folded(np.max, 1), folded(np.sum, 0)
    module._view = lambda a, start, shape: a.reshape(-1)[start : start + prod(shape)].reshape(shape)
    module._numbers = lambda a: a.reshape(-1)
    return module


@pytest.mark.parametrize("name", MODELS)
def test_rounds_of_products_compute_what_the_definition_says(name):
    program = model(name).program
    made = pipeline.gradient(program, program.parameters)
    rng = np.random.default_rng(0)
    sizes = {d.name: d.default for d in program.dims} | {"n": 3}
    values = {t.name: rng.normal(size=[int(str(sizes.get(str(a), a))) for a in t.axes]) for t in program.declared}
    expected = evaluate(made.stable, values, sizes)
    source = build(program)
    assert "    for " in source
    module = plain(source)
    params = {t.name: values.pop(t.name) for t in program.parameters}
    value, gradient = module.loss_and_grad(params, **values)
    np.testing.assert_allclose(value, expected[program.objective.name], rtol=1e-11)
    for t, bar in made.stable.gradients:
        np.testing.assert_allclose(gradient[t.name], expected[bar.name], rtol=1e-10, atol=1e-11, err_msg=name)


PRODUCTS = [("scores", 3), ("heads", 6), ("convolution", 2), ("convolutions", 5), ("strided", 3), ("groups", 2)]


@pytest.mark.parametrize(("name", "products"), PRODUCTS)
def test_which_sums_become_products(name, products):
    # In the first convolution dU needs no gradient of the image: a sum over the samples at each place is less work.
    source = build(model(name).program)
    kernel = source[source.index("def _loss_and_grad(") :]
    assert len(re.findall(r"^ +_mat(?:mul|vec)(?:_symmetric|_fixed)?\(", kernel, re.MULTILINE)) == products


def test_a_flipped_kernel_is_a_product_whose_terms_are_added_where_they_belong():
    source = build(model("convolutions").program)
    assert "# dA[n,e,k,k′] = Σ_{o,q,p} dC[n,o,k − p,k′ − q] W[o,e,p,q]" in source  # as it is read
    assert re.search(r"dA_n\[\w+, \w+ \+ \w+, \w+ \+ \w+\] \+= dA_n_terms", source)  # as it is computed


def test_small_products_stay_loops():
    source = build(model("scores").program, sizes={"i": 2, "j": 3, "k": 5})
    assert "_matmul" not in source


def test_compiled_rounds_agree_with_the_definition_in_both_precisions():
    program = model("heads").program
    made = pipeline.gradient(program, program.parameters)
    rng = np.random.default_rng(0)
    values = {"X": rng.normal(size=(3, 11, 2, 13)) / 4, "B": rng.normal(size=(2, 13, 13)) / 4}
    expected = evaluate(made.stable, values, {"i": 11, "h": 2, "k": 13, "n": 3})[made.results[0].name]
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        module = load_source(build(program, dtype=dtype))
        given = {k: v.astype(dtype) for k, v in values.items()}
        found = module.loss_and_grad({"B": given["B"]}, X=given["X"])[1]["B"]
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
