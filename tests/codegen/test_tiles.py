"""Products of matrices by tiles of registers: every shape and layout against NumPy, in both precisions."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys

import numba
import numpy as np
import pytest

import derive
from codegen import kernels, memory
from codegen.compiler import load_source, source

MODEL = (
    "dims d = 93, h = 193\nbatch n\ninput X : [n, d]\nparam W : [d, h]\nparam v : [h]\nA = tanh(X @ W)\n"
    "minimize sum((A @ v)^2) / n\noptimizer sgd(lr=0.1)\n"
)
# around what registers hold: rows in blocks of 8 and 5 (6 and 4), columns in vectors of 16, 8 or 4
ROWS = (1, 2, 4, 5, 6, 7, 8, 10, 13, 16, 20)
COLUMNS = (1, 3, 7, 8, 10, 16, 17, 33, 48, 49, 64, 65, 100)


@pytest.fixture(scope="module", params=itertools.product(("float32", "float64"), (False, True)), ids=str)
def module(request):
    dtype, wide = request.param  # as on a processor with registers of 32 bytes, and of 64
    text = re.sub(r"(?m)^_WIDE = .*$", f"_WIDE = {wide}", source(derive.parse(MODEL), dtype=dtype))
    return load_source(text.replace('"gradc_', f'"gradc_{wide}_'))


def numbers(shape, dtype):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def near(found, a, b):
    """Whether a product is as near as rounding allows: to eps times the sum of the terms' sizes."""
    wide = a.astype(np.longdouble) @ b.astype(np.longdouble)
    scale = np.abs(a).astype(float) @ np.abs(b).astype(float)
    assert np.all(
        np.abs(found - wide) <= 2 * a.shape[-1] * np.finfo(found.dtype).eps * scale + np.finfo(found.dtype).tiny
    )


def product(module, name="_matmul"):
    kernel = getattr(module, name)

    @numba.njit
    def call(a, b, c, strip):
        kernel(a, b, c, strip)

    return call


def strip_for(module, inner):
    return np.empty(module._STRIP * inner, module.DTYPE)


@pytest.mark.parametrize("flipped", list(itertools.product([False, True], repeat=2)), ids=["AB", "ABt", "AtB", "AtBt"])
def test_products_of_every_shape_and_layout(module, flipped):
    call = product(module)
    for m, n, k in itertools.product(ROWS, COLUMNS, (1, 5, 19)):
        a, b = numbers((m, k), module.DTYPE), numbers((k, n), module.DTYPE)
        a = np.asfortranarray(a) if flipped[0] else a
        b = np.asfortranarray(b) if flipped[1] else b
        frame = np.full((m + 2, n), 7, module.DTYPE)  # what stands around the result stays
        call(a, b, frame[1:-1], strip_for(module, k))
        near(frame[1:-1], a, b)
        assert np.all(frame[[0, -1]] == 7)


@pytest.mark.parametrize("flipped", list(itertools.product([False, True], repeat=2)), ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("k", [131, 256])
def test_products_with_long_sums_and_few_columns_or_rows(module, flipped, k):
    """Where registers would stay empty: dot products along the rows, or the transposed result."""
    call, plus = product(module), module._matmul_plus

    @numba.njit
    def call_plus(a, b, s, c, strip):
        plus(a, b, s, c, strip)

    for m, n in [*itertools.product((3, 5, 11, 97), (1, 2, 3, 5, 7, 10, 12)), (3, 97), (7, 50)]:
        a, b, s = numbers((m, k), module.DTYPE), numbers((k, n), module.DTYPE), numbers((m, n), module.DTYPE)
        a = np.asfortranarray(a) if flipped[0] else a
        b = np.asfortranarray(b) if flipped[1] else b
        frame = np.full((m + 2, n), 7, module.DTYPE)
        call(a, b, frame[1:-1], strip_for(module, k))
        near(frame[1:-1], a, b)
        assert np.all(frame[[0, -1]] == 7)
        for start in (s, s[1]):
            call_plus(a, b, start, frame[1:-1], strip_for(module, k))
            np.testing.assert_allclose(frame[1:-1] - start, a @ b, atol=50 * k * np.finfo(module.DTYPE).eps)
            assert np.all(frame[[0, -1]] == 7)


@pytest.mark.parametrize("flipped", list(itertools.product([False, True], repeat=2)), ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("k", [517, 1031])
def test_long_sums_are_added_piece_by_piece_and_no_row_twice(module, flipped, k):
    call, plus = product(module), module._matmul_plus

    @numba.njit
    def call_plus(a, b, s, c, strip):
        plus(a, b, s, c, strip)

    for m, n in ((1, 33), (3, 21), (7, 40), (29, 37), (53, 107), (101, 16)):
        a, b, s = numbers((m, k), module.DTYPE), numbers((k, n), module.DTYPE), numbers((m, n), module.DTYPE)
        a = np.asfortranarray(a) if flipped[0] else a
        b = np.asfortranarray(b) if flipped[1] else b
        frame, strip = np.full((m + 2, n), 7, module.DTYPE), np.full(module._STRIP * k + 1, 7, module.DTYPE)
        call(a, b, frame[1:-1], strip[:-1])
        near(frame[1:-1], a, b)
        for start in (s, s[1 % m]):
            call_plus(a, b, start, frame[1:-1], strip[:-1])
            np.testing.assert_allclose(frame[1:-1] - start, a @ b, atol=50 * k * np.finfo(module.DTYPE).eps)
        assert np.all(frame[[0, -1]] == 7)
        assert strip[-1] == 7


@pytest.mark.parametrize("room", [1, 2, 4])
def test_rows_of_a_transposed_matrix_are_copied_where_there_is_room(module, room):
    call, plus = product(module), module._matmul_plus

    @numba.njit
    def call_plus(a, b, s, c, strip):
        plus(a, b, s, c, strip)

    for m, n, k in ((97, 193, 19), (48, 500, 5), (71, 1051, 7), (149, 97, 523)):
        a, b, s = numbers((k, m), module.DTYPE).T, numbers((k, n), module.DTYPE), numbers((m, n), module.DTYPE)
        strip = np.full(room * module._STRIP * k + 1, 7, module.DTYPE)
        frame = np.full((m + 2, n), 7, module.DTYPE)
        call(a, b, frame[1:-1], strip[:-1])
        near(frame[1:-1], a, b)
        for start in (s, s[1]):
            call_plus(a, b, start, frame[1:-1], strip[:-1])
            np.testing.assert_allclose(frame[1:-1] - start, a @ b, atol=50 * k * np.finfo(module.DTYPE).eps)
        assert np.all(frame[[0, -1]] == 7)
        assert strip[-1] == 7


@pytest.mark.parametrize("k", [3, 131, 523])
def test_a_symmetric_result_is_computed_once_and_mirrored(module, k):
    call = product(module, "_matmul_symmetric")
    for n in (1, 10, 17, 40, 61, 131):
        a = numbers((k, n), module.DTYPE)
        for x, y in ((a.T, a), (np.ascontiguousarray(a.T), np.asfortranarray(a))):
            frame = np.full((n + 2, n), 7, module.DTYPE)
            call(x, y, frame[1:-1], strip_for(module, k))
            near(frame[1:-1], x, y)
            assert np.array_equal(frame[1:-1], frame[1:-1].T)
            assert np.all(frame[[0, -1]] == 7)


def test_the_kernel_for_few_columns_stands_only_where_something_may_need_it():
    text = "dims d = 211, h = 193\nbatch n\ninput X : [n, d]\nparam W : [d, h]\nminimize sum((X @ W)^2) / n\n"
    for h, few in ((193, False), (10, True)):
        assert ("def _few_kernel" in source(derive.parse(text.replace("193", str(h))), dtype="float32")) == few
    short = source(derive.parse(text.replace("193", "10").replace("211", "31")), dtype="float64")
    assert "def _few_kernel" not in short


def test_the_limits_of_the_plan_are_those_of_the_kernels(module):
    limits = (module._NARROW, module._TALL, module._BROAD, module._SHARES, module._STRIP)
    assert limits == (kernels.FEW, kernels.TALL, kernels.BROAD, kernels.SHARES, memory.STRIP)


def test_the_module_makes_room_for_copies_of_rows_where_a_transposed_matrix_has_many():
    text = "dims d = 211, h = 33\nbatch n\ninput X : [n, d]\nparam W : [d, h]\nminimize sum((X @ W)^2) / n\n"
    for old, new, room in (("33", "33", "8 * n"), ("33", "32", "n"), ("211", "47", "n")):
        code = source(derive.parse(text.replace(old, new)), dtype="float32")
        assert f"_STRIP * max({new if old == '211' else 211}, {room})" in code


def test_a_column_of_a_matrix_is_read_in_place(module):
    call = product(module)
    a, b = numbers((13, 167), module.DTYPE), numbers((167, 3), module.DTYPE)[:, 1:2]
    c = np.empty((13, 1), module.DTYPE)
    call(a, b, c, strip_for(module, 167))
    near(c, a, b)


def test_rows_of_a_result_may_lie_apart(module):
    call = product(module)
    a, b = numbers((13, 19), module.DTYPE), numbers((19, 10), module.DTYPE)
    wide = np.full((13, 31), 7, module.DTYPE)
    call(a, b, wide[:, 5:15], strip_for(module, 19))
    near(wide[:, 5:15], a, b)
    assert np.all(wide[:, :5] == 7)
    assert np.all(wide[:, 15:] == 7)


def test_a_matrix_that_is_far_away_is_copied_strip_by_strip(module):
    call = product(module)
    for m in (11, 23, 67):
        a, b = numbers((m, 307), module.DTYPE), numbers((307, 461), module.DTYPE)
        assert b.size > 2 * module._NEAR
        c = np.empty((m, 461), module.DTYPE)
        call(a, b, c, strip_for(module, 307))
        near(c, a, b)


def test_slices_with_any_strides_are_read_in_place(module):
    call = product(module)
    a, b = numbers((13, 5, 19), module.DTYPE)[:, 2], numbers((19, 10, 3), module.DTYPE)[:, :, 1]
    c = np.empty((13, 10), module.DTYPE)
    call(a, b, c, strip_for(module, 19))
    near(c, a, b)


def test_a_symmetric_product_is_the_mirror_image_of_its_lower_triangle(module):
    call = product(module, "_matmul_symmetric")
    for n in (1, 7, 20, 33, 49, 70, 107):
        a = numbers((19, n), module.DTYPE)
        frame = np.full((n + 2, n), 7, module.DTYPE)
        call(a.T, a, frame[1:-1], strip_for(module, 19))
        near(frame[1:-1], a.T, a)
        assert np.all(frame[[0, -1]] == 7)
        if n > 2 * module._LANES:
            np.testing.assert_array_equal(frame[1:-1], frame[1:-1].T)


def test_which_products_are_symmetric():
    text = "dims d = 5\nbatch n\ninput X : [n, d]\ninput w : [n]\ninput B : [d, d]\n{}\noutput S"
    for line, symmetric in (
        ("S = X' @ X", True),
        ("S = X' @ (col(w) * X)", True),
        ("S = B @ B'", True),
        ("S = B @ B", False),
        ("S = X' @ tanh(X @ B)", False),
    ):
        code = source(derive.parse(text.format(line)))
        called = re.findall(r"(?m)^ +(_matmul\w*)\(", code)
        assert ("_matmul_symmetric" in called) == symmetric, line


def test_products_of_a_matrix_and_a_vector(module):
    kernel = module._matvec

    @numba.njit
    def call(a, x, y):
        kernel(a, x, y)

    for m, k in itertools.product(ROWS, (1, 3, *COLUMNS)):
        a, x = numbers((m, k), module.DTYPE), numbers((k,), module.DTYPE)
        frame = np.full(m + 2, 7, module.DTYPE)
        call(a, x, frame[1:-1])
        near(frame[1:-1], a, x)
        assert frame[0] == frame[-1] == 7


def test_what_is_infinite_or_no_number_shows_where_it_belongs_and_nowhere_else(module):
    call = product(module)
    a, b = numbers((10, 5), module.DTYPE), numbers((5, 17), module.DTYPE)
    a[3, 2], b[1, 16] = np.nan, np.inf
    c = np.empty((10, 17), module.DTYPE)
    call(a, b, c, strip_for(module, 5))
    with np.errstate(invalid="ignore"):
        want = a @ b
    np.testing.assert_allclose(c, want, rtol=1e-4, atol=1e-5)


def test_two_modules_of_one_precision_share_the_compiled_kernels():
    first, other = (
        load_source(source(derive.parse(MODEL.replace("d = 3", d)), dtype="float32")) for d in ("d = 3", "d = 7")
    )
    assert first is not other
    assert first._MATMUL == other._MATMUL


def test_a_module_that_is_no_member_of_sys_modules_runs_beside_a_cache(tmp_path):
    """Numba's cache asks for modules by name: a plugin loader that registers none must still get its kernels."""
    (tmp_path / "net.py").write_text(source(derive.parse(MODEL)))
    load = (
        "import importlib.util as u; s = u.spec_from_file_location('net', 'net.py'); m = u.module_from_spec(s); "
        "s.loader.exec_module(m); import numpy as np; m.loss_and_grad(m.init_params(0), X=np.ones((2, 93)))"
    )
    for line in (load, load, "import net"):
        done = subprocess.run([sys.executable, "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_sum_of_nothing_is_zero(module):
    call = product(module)
    c = np.full((7, 19), 7, module.DTYPE)
    call(np.empty((7, 0), module.DTYPE), np.empty((0, 19), module.DTYPE), c, strip_for(module, 1))
    assert np.all(c == 0)


@pytest.mark.parametrize("k", [1, 19, 523])
def test_products_are_added_to_what_is_there_once(module, k):
    onto = module._matmul_onto

    @numba.njit
    def call(a, b, c, rate, strip):
        onto(a, b, c, rate, strip)

    for m, n in ((1, 37), (3, 16), (7, 40), (29, 37), (53, 107), (131, 130)):
        for a in (numbers((m, k), module.DTYPE), numbers((k, m), module.DTYPE).T):
            b, c = numbers((k, n), module.DTYPE), numbers((m, n), module.DTYPE)
            frame = np.full((m + 2, n), 7, module.DTYPE)
            for rate, start in ((-0.25, c), (0, 0)):
                frame[1:-1] = c
                call(a, b, frame[1:-1], module.DTYPE.type(rate), strip_for(module, 4 * k))
                expected = start + (rate or 1) * (a.astype(float) @ b)
                np.testing.assert_allclose(frame[1:-1], expected, atol=50 * k * np.finfo(module.DTYPE).eps)
                assert np.all(frame[[0, -1]] == 7)
