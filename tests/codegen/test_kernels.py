"""What runs in kernels: biases that products take up, axes of one place, sums along rows and columns."""

from __future__ import annotations

import itertools
import re

import numba
import numpy as np
import pytest

import derive
from codegen.compiler import load_source, source
from codegen.kernels import fold_of
from codegen.schedule import freshened, split
from codegen.steps import Part
from derive.expr import Dim, fresh, reduce_, sum_over
from derive.program import Equation, Tensor

n, d = Dim("n"), Dim("d")
BOTH = """
dims d = 3
batch n
input X : [n, d]
param W : [d, d]
param b : [d]
minimize sum(softmax(X @ W + b, axis=1)^2) / n
"""
ROWS, COLUMNS = (1, 2, 4, 5, 6, 7, 8, 11, 16, 20), (1, 3, 7, 8, 10, 16, 17, 33, 48, 65, 100)


@pytest.fixture(scope="module", params=["float32", "float64", "float32 narrow", "float64 narrow"])
def module(request):
    dtype, *narrow = request.param.split()
    text = source(derive.parse(BOTH), dtype=dtype)
    if narrow:  # as on a processor with registers of 32 bytes
        text = re.sub(r"(?m)^_WIDE = .*$", "_WIDE = False", text)
        text = text.replace("gradc_mat", "gradc_narrow_mat").replace("gradc_fold", "gradc_narrow_fold")
    return load_source(text)


def numbers(shape, dtype):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def calls(text):
    """The kernels that a model's gradient calls, in order, and what they are given: arrays, without extents."""
    code = re.sub(r"_fixed(\w*)\(\w+, \w+, \w+, ", r"\1(", source(derive.parse(text)))
    kernel = code[code.index("\ndef _loss_and_grad(") :].split("\n@_compiled", 1)[0]
    return re.findall(r"(?m)^ +_(matmul\w*|matvec|row_\w+|column_sums)\((.*)\)$", kernel)


@pytest.mark.parametrize("kind", ["vector", "matrix", "wide matrix"])
def test_products_start_from_a_vector_or_a_matrix(module, kind):
    kernel = module._matmul_plus

    @numba.njit
    def call(a, b, s, c, strip):
        kernel(a, b, s, c, strip)

    for m, count in itertools.product(ROWS, COLUMNS):
        a, b = numbers((m, 5), module.DTYPE), numbers((5, count), module.DTYPE)
        s = numbers((count,) if kind == "vector" else (m, count + 3), module.DTYPE)
        s = s if kind == "vector" else s[:, 2:-1] if kind == "wide matrix" else np.ascontiguousarray(s[:, 2:-1])
        frame = np.full((m + 2, count), 7, module.DTYPE)
        call(a, b, s, frame[1:-1], np.empty(module._STRIP * 5, module.DTYPE))
        scale = np.abs(a).astype(float) @ np.abs(b) + np.abs(s)
        wide = a.astype(np.longdouble) @ b + s
        assert np.all(np.abs(frame[1:-1] - wide) <= 12 * np.finfo(module.DTYPE).eps * scale)
        assert np.all(frame[[0, -1]] == 7)


@pytest.mark.parametrize("name", ["_row_sums", "_row_maxima", "_column_sums"])
def test_folds_of_every_shape(module, name):
    kernel = getattr(module, name)

    @numba.njit
    def call(a, y):
        kernel(a, y)

    for m, k in itertools.product((*ROWS, 100), COLUMNS):
        a = numbers((m, k), module.DTYPE)
        frame = np.full((k if name == "_column_sums" else m) + 2, 7, module.DTYPE)
        call(a, frame[1:-1])
        if name == "_row_maxima":
            np.testing.assert_array_equal(frame[1:-1], a.max(axis=1))
        else:
            axis = 0 if name == "_column_sums" else 1
            bound = a.shape[axis] * np.finfo(module.DTYPE).eps * np.abs(a).astype(float).sum(axis=axis)
            assert np.all(np.abs(frame[1:-1] - a.astype(np.longdouble).sum(axis=axis)) <= bound)
        assert frame[0] == frame[-1] == 7


def test_the_largest_of_a_row_may_be_infinite(module):
    kernel = module._row_maxima

    @numba.njit
    def call(a, y):
        kernel(a, y)

    a = np.array([[-np.inf] * 3, [1, np.inf, 2], [-np.inf, -5, -7]], module.DTYPE)
    found = np.empty(3, module.DTYPE)
    call(a, found)
    np.testing.assert_array_equal(found, [-np.inf, np.inf, -5])


PARAMS = "dims d = 3, h = 5\nbatch n\ninput X : [n, d]\nparam W : [d, h]\nparam V : [d, h]\nparam b : [h]\n"


def test_a_bias_is_taken_up_by_its_product():
    (first, *_) = calls(PARAMS + "Z = X @ W + b\nminimize sum(tanh(Z)^2)")
    assert first == ("matmul_plus", "X, W, b, Z, strip")


def test_a_sum_of_products_gathers_in_one_matrix():
    first, second, *_ = calls(PARAMS + "Z = X @ W + tanh(X) @ V + b\nminimize sum(tanh(Z)^2)")
    assert [first[0], second[0]] == ["matmul_plus", "matmul_plus"]
    starts = [first[1].split(", ")[2], second[1].split(", ")[2]]
    assert starts == ["b", first[1].split(", ")[3]]  # the second one starts from what the first one leaves


@pytest.mark.parametrize("line", ["Q = Z0 * Z0", "output Z0"])
def test_what_is_read_elsewhere_is_left_by_itself(line):
    use = "sum(Q)" if "Q" in line else "0"
    found = calls(PARAMS + f"Z0 = X @ W\nZ = Z0 + b\n{line}\nminimize sum(tanh(Z)^2) + {use}")
    kept = [name for name, given in found if given.startswith("X, W")]
    assert kept == (["matmul"] if "Q" in line else ["matmul_plus"])  # an output is found by another function


def test_an_axis_of_one_place_is_no_matrix():
    text = (
        "dims d = 3, h = 67, o = 1\nbatch n\ninput X : [n, d]\ntarget Y : [n, o]\nparam W : [d, h]\nparam V : [h, o]\n"
    )
    found = calls(text + "A = tanh(X @ W)\nminimize mse(Y, A @ V)")
    assert [name for name, _ in found] == ["matmul", "matvec", "matmul", "matmul"]
    assert found[2][1].startswith("_view(")  # dV, a row


def fold(op, axes, letters, binders):
    a = Tensor("a", axes)
    table = {"i": fresh(n), "k": fresh(d, "k")}
    body = reduce_(op, [table[x] for x in binders], a[table["i"], table["k"]])
    out = Equation(Tensor("out", tuple(table[x].extent for x in letters)), tuple(table[x] for x in letters), body)
    (part,) = split(out)
    return fold_of(freshened(part))


def test_which_reductions_are_folds():
    found = fold("sum", (n, d), "i", "k")
    assert found is not None
    assert not found.down
    found = fold("sum", (n, d), "k", "i")
    assert found is not None
    assert found.down
    assert fold("max", (n, d), "i", "k") is not None
    assert fold("max", (n, d), "k", "i") is None
    assert fold("prod", (n, d), "i", "k") is None
    i, k = fresh(n), fresh(d, "k")
    a = Tensor("a", (n, d))
    assert fold_of(Part(Tensor("out", (n,)), (i,), sum_over([k], a[i, k] * a[i, k]), None)) is None
