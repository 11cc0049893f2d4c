"""Products that are compiled where they stand, for their columns: every shape and layout against NumPy."""

from __future__ import annotations

import itertools
import re

import numba
import numpy as np
import pytest

import derive
from codegen.compiler import load_source, source

MODEL = "dims d = 19, h = 20, c = 3\nbatch n\ninput X : [n, d]\ntarget Y : [n, c]\nparam W : [d, h]\nparam b : [h]\n"
MODEL += "param V : [h, c]\nA = tanh(X @ W + b)\nminimize mse(Y, A @ V)\noptimizer sgd(lr=0.1)\n"
# few and many rows, and one more or fewer than blocks of 8, 6, 5 and 4 of them have
ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 31)
CASES = [("float32", n) for n in (1, 7, 10, 20, 47, 64)] + [("float64", n) for n in (3, 33)]


@pytest.fixture(scope="module", params=[False, True], ids=["32 bytes", "64 bytes"])
def modules(request):
    """By precision, as on a processor with registers of so many bytes."""
    wide = request.param
    made = {}
    for dtype in ("float32", "float64"):
        text = re.sub(r"(?m)^_WIDE = .*$", f"_WIDE = {wide}", source(derive.parse(MODEL), dtype=dtype))
        made[dtype] = load_source(text.replace('"gradc_', f'"gradc_{wide}_'))
    return made


def numbers(shape, dtype, turned=False):
    drawn = np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)
    return np.asfortranarray(drawn) if turned else drawn


@pytest.mark.parametrize(("dtype", "n"), CASES, ids=str)
def test_products_of_every_shape_and_layout(modules, dtype, n):
    module = modules[dtype]
    fixed, plus = module._matmul_fixed, module._matmul_fixed_plus
    rows, terms = 14, 9

    @numba.njit
    def any_rows(a, b, s, c, d, strip):
        fixed(a.shape[0], a.shape[1], n, a, b, c, strip)
        plus(a.shape[0], a.shape[1], n, a, b, s, d, strip)

    @numba.njit
    def known_rows(a, b, c, strip):
        fixed(rows, terms, n, a, b, c, strip)

    def check(call, m, k, turned):
        a, b, s = numbers((m, k), dtype, turned[0]), numbers((k, n), dtype, turned[1]), numbers((n,), dtype)
        frames = np.full((2, m + 2, n), 7, dtype)  # what stands around the result stays
        strip = np.full(module._STRIP * k + 1, 7, dtype)
        if call is any_rows:
            call(a, b, s, frames[0, 1:-1], frames[1, 1:-1], strip[:-1])
        else:
            call(a, b, frames[0, 1:-1], strip[:-1])
            frames[1, 1:-1] = frames[0, 1:-1] + s
        bound = 2 * k * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(s))
        product = a.astype(np.longdouble) @ b
        assert np.all(np.abs(frames[0, 1:-1] - product) <= bound)
        assert np.all(np.abs(frames[1, 1:-1] - product - s) <= bound)
        assert np.all(frames[:, [0, -1]] == 7)
        assert strip[-1] == 7

    turns = list(itertools.product([False, True], repeat=2)) if n <= module._STRIP else [(False, False), (True, False)]
    for turned in turns:
        for m, k in itertools.product(ROWS, (1, 5, 19)):
            check(any_rows, m, k, turned)
        check(any_rows, 11, module._LONG + 2, turned)
        check(known_rows, rows, terms, turned)


def test_few_known_columns_are_compiled_where_they_stand():
    text = source(derive.parse(MODEL))
    assert "    _matmul_fixed_plus(n, d, h, X, W, b, " in text
    assert "    _matmul_fixed(d, n, h, X.T, " in text
    broad = source(derive.parse(MODEL.replace("h = 20", "h = 193")))
    assert "_matmul_fixed_plus(n, d, h," not in broad


def test_a_single_row_is_compiled_where_it_stands_beside_others():
    """Xᵀ r as the product of the row r with X: alone it would bring all lines of such products into the module."""
    text = MODEL.replace("c = 3", "c = 1")
    assert "    _matmul_fixed(1, n, h, " in source(derive.parse(text))
    alone = "dims d = 19\nbatch n\ninput X : [n, d]\ntarget y : [n]\nparam w : [d]\nminimize mse(y, X @ w)"
    assert "_matmul_fixed" not in source(derive.parse(alone))


def test_products_with_vectors_are_compiled_where_they_stand_beside_others():
    """Dot products of short rows are one column; numbers times numbers, in rows of a register, sum one term."""
    text = MODEL.replace("c = 3", "c = 1")
    found = source(derive.parse(text))
    assert "    _matmul_fixed(n, h, 1, " in found
    assert "    _matmul_fixed(n, 1, h, " in found
    assert "_matvec" not in found
    longer = source(derive.parse(text.replace("h = 20", "h = 21")))
    assert "    _matvec(" in longer
    assert "    _matmul_fixed(n, 1, h, " in longer
    short = source(derive.parse(text.replace("h = 20", "h = 7")))
    assert "_matmul_fixed(n, 1, h, " not in short
    lone = "dims d = 19\nbatch n\ninput x : [n]\ninput y : [d]\nA[i, j] = x[i]*y[j]\noutput A"
    assert "_matmul" not in source(derive.parse(lone))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_through_a_vector_of_weights_is_that_of_loops(dtype):
    """The rows' numbers, scalars for each row, from both: of vectors, and of matrices with an axis of one place."""
    text = MODEL.replace("c = 3", "c = 1")
    flat = text.replace("[n, c]", "[n]").replace("[h, c]", "[h]")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(13, 19)).astype(dtype), rng.normal(size=(13, 1)).astype(dtype)
    for model, target in ((text, y), (flat, y[:, 0].copy())):
        wanted = load_source(source(derive.parse(model), target="numpy"))
        params = wanted.init_params(0)
        _, gradient = wanted.loss_and_grad(params, X=x.astype("float64"), Y=target.astype("float64"))
        given = {k: v.astype(dtype) for k, v in params.items()}
        _, found = load_source(source(derive.parse(model), dtype=dtype)).loss_and_grad(given, X=x, Y=target)
        for name, value in gradient.items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=300 * np.finfo(dtype).eps * np.abs(value).max())


def test_what_starts_from_a_matrix_is_not_computed_twice():
    """The last block of rows overlaps the one before: what was added there would be added again."""
    model = "dims d = 5, h = 7\nbatch n\ninput X : [n, d]\ninput Y : [n, d]\nparam W : [d, h]\nparam V : [d, h]\n"
    text = source(derive.parse(model + "Z = X @ W + Y @ V\nminimize sum(tanh(Z)^2)"))
    calls = re.findall(r"(?m)^    _matmul\w*\(.*$", text[text.index("def _loss_and_grad") :])
    assert [c.split("(")[0].strip() for c in calls[:2]] == ["_matmul_fixed", "_matmul_plus"]
