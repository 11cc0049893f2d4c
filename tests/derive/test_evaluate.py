"""The interpreter is the definition: it agrees with NumPy written by hand, and refuses what has no value."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import special

import derive
from derive.errors import GradcError
from derive.evaluate import evaluate, evaluate_expr, extent, find_sizes
from derive.expr import Const, Dim, Num, Reduce, call, compare, fresh, mul, negate, num, power, reduce_, select
from derive.functions import EXPM1, LOG1P, PRIMITIVES
from derive.program import DimDecl, Program, Property, Tensor

n, m = Dim("n"), Dim("m")
i, j = fresh(n, "i"), fresh(m, "j")
A, v, t, s = Tensor("A", (n, m)), Tensor("v", (m,)), Tensor("t", (n,), dtype="int"), Tensor("s", ())
SIZES = {"n": 3, "m": 5}
rng = np.random.default_rng(1)
VALUES = {A: rng.normal(size=(3, 5)), v: rng.normal(size=5), t: np.array([4, 0, 2]), s: np.array(-0.5)}
a, w = VALUES[A], VALUES[v]


def at(e, *letters):
    return evaluate_expr(e, letters, VALUES, SIZES)


def test_arrays_by_hand():
    np.testing.assert_allclose(at(reduce_("sum", (j,), A[i, j] * v[j]), i), a @ w)
    np.testing.assert_allclose(at(A[i, j] + v[j], i, j), a + w)
    np.testing.assert_allclose(at(A[i, j], j, i), a.T)
    np.testing.assert_allclose(at(A[i, t[i]], i), a[np.arange(3), [4, 0, 2]])
    np.testing.assert_allclose(at(v[2 * i], i), w[[0, 2, 4]])
    np.testing.assert_allclose(at(i + n * j, i, j), np.arange(3)[:, None] + 3 * np.arange(5))
    for op, f in (("max", np.max), ("min", np.min), ("prod", np.prod), ("argmax", np.argmax), ("argmin", np.argmin)):
        np.testing.assert_allclose(at(Reduce(op, (j,), A[i, j]), i), f(a, axis=1))
    np.testing.assert_allclose(at(Reduce("argmax", (i, j), A[i, j])), np.argmax(a))
    assert at(num(3) * n).shape == ()
    assert at(num(0), i, j).shape == (3, 5)
    assert float(at(Const("pi"))) == np.pi


@pytest.mark.parametrize("name", [*PRIMITIVES])
def test_primitives(name):
    u = Tensor("u", ())
    reference = (
        special.erf
        if name == "erf"
        else getattr(np, {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name))
    )
    got = evaluate_expr(call(PRIMITIVES[name], u.at(())), (), {u: np.array(0.3)}, {})
    assert float(got) == float(reference(0.3))


def test_accurate_forms_are_accurate():
    u = Tensor("u", ())
    for f, want in ((LOG1P, 1e-18), (EXPM1, 1e-18)):
        assert float(evaluate_expr(call(f, u.at(())), (), {u: np.array(1e-18)}, {})) == want


def test_a_mask_absorbs_what_has_no_value():
    hole = compare("<", s.at(()), -1) * power(num(0), -1)
    assert float(at(hole)) == 0.0
    assert float(at(select(compare("<", s.at(()), 0), num(1), call(PRIMITIVES["log"], s.at(()))))) == 1.0
    assert float(at(negate(compare("<", s.at(()), 0) * compare("<", s.at(()), -1)))) == 1.0


def test_a_large_sum_of_products_is_what_its_places_say(monkeypatch):
    """Contracted factor by factor it is the sum over the whole grid, with masks and with what is no number."""
    n, m = Dim("n"), Dim("m")
    A, B = Tensor("A", (n, m)), Tensor("B", (m,))
    i, p, q = fresh(n), fresh(m), fresh(m)
    rng = np.random.default_rng(0)
    arrays, sizes = {A: rng.normal(size=(5, 7)), B: rng.normal(size=7)}, {"n": 5, "m": 7}
    inside = compare("<=", p, q) * A[i, q - p] * B[p] * B[q] * power(A[i, p], -1)
    for body in (inside, mul(3, B[p], compare("<", q, p))):
        e = reduce_("sum", (p, q), body)
        for hole in (None, np.nan, np.inf):
            arrays[B][6] = 1.0 if hole is None else hole
            whole = evaluate_expr(e, (i,), arrays, sizes)
            with monkeypatch.context() as patch:
                patch.setattr("derive.evaluate._LARGEST", 1)
                contracted = evaluate_expr(e, (i,), arrays, sizes)
            finite = np.isfinite(whole)
            assert np.array_equal(finite, np.isfinite(contracted))
            np.testing.assert_allclose(contracted[finite], whole[finite], rtol=1e-12, atol=1e-14)


def test_reads_that_are_not_taken_may_leave_the_axis():
    padded = select(compare("<=", 1, j), v[j - 1], num(0))
    np.testing.assert_allclose(at(padded, j), [0, *w[:-1]])
    np.testing.assert_allclose(at(compare("<=", 1, j) * v[j - 1], j), [0, *w[:-1]])
    with pytest.raises(GradcError, match="leaves axis 0 of v"):
        at(v[j - 1], j)


def test_complex_values_follow_the_real_branch():
    u = Tensor("u", ())
    e = select(compare("<", 0, u.at(())), u.at(()) ** 2, num(0))
    assert evaluate_expr(e, (), {u: np.array(3 + 1e-30j)}, {}).imag == pytest.approx(6e-30)
    first = Reduce("max", (j,), v[j])
    assert np.iscomplexobj(evaluate_expr(first, (), {**VALUES, v: w + 1e-30j}, SIZES))


def test_roots_and_exact_numbers():
    assert float(at(power(num(2), Num(Fraction(1, 2))))) == np.sqrt(2)
    assert float(at(power(num(2), Num(Fraction(-3, 2))))) == pytest.approx(2**-1.5, rel=1e-15)
    assert float(at(num(10**30))) == 1e30


def test_programs_by_name(numeric):
    m = derive.parse(
        "dims d=2\nbatch n\ninput X : [n, d]\nparam w : [d]\nconst k = 3\np = k * X @ w\nq = sum(p)\noutput q"
    )
    X = np.arange(6.0).reshape(3, 2)
    out = evaluate(m.program, {"X": X, "w": [1.0, -1.0]})
    np.testing.assert_allclose(out["p"], -3.0)
    assert float(out["q"]) == -9.0
    assert "p" not in evaluate(m.program, {"X": X})  # what rests on a missing value is left out


def test_extents():
    assert extent(2 * n + power(m, 2) - 1, SIZES) == 30
    with pytest.raises(GradcError, match="size of q is not known"):
        extent(Dim("q"), SIZES)
    with pytest.raises(GradcError, match="is not an extent"):
        extent(s.at(()), SIZES)
    p = Program("p", (DimDecl("n"), DimDecl("m", 7), DimDecl("o", derived=n + m)), declared=(A,))
    assert find_sizes(p, {A: np.zeros((3, 5))}) == {"n": 3, "m": 5, "o": 8}
    assert find_sizes(p, {}, {"n": 2}) == {"n": 2, "m": 7, "o": 9}


def test_shapes_that_do_not_fit():
    X = Tensor("X", (n, n), "input", (Property("symmetric"),))
    with pytest.raises(GradcError, match="elsewhere"):
        evaluate(Program("p", batch=n, declared=(X,)), {"X": np.zeros((2, 3))})
    with pytest.raises(GradcError, match="expected"):
        evaluate(Program("p", batch=n, declared=(X,)), {"X": np.zeros(2)})
