"""The normal form decides equality of sums of products: alpha-equivalence, deltas, masks, expansion."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.evaluate import evaluate_expr
from derive.expr import (
    ONE,
    ZERO,
    Compare,
    Dim,
    Expr,
    Num,
    Reduce,
    Select,
    call,
    compare,
    fresh,
    mul,
    negate,
    num,
    power,
    reduce_,
    select,
    sum_over,
)
from derive.functions import PRIMITIVES
from derive.normal import Normalizer, TooLargeError, equal
from derive.program import Property, Tensor
from derive.rewrite import walk

n, m = Dim("n"), Dim("m")
i, j, k, r = (fresh(n, s) for s in "ijkr")
a, b = fresh(m, "a"), fresh(m, "b")
A, B = Tensor("A", (n, n)), Tensor("B", (n, n))
X, v, w = Tensor("X", (n, m)), Tensor("v", (n,)), Tensor("w", (n,))
s, t = Tensor("s", ()).at(()), Tensor("t", ()).at(())
y = Tensor("y", (n,), "target", (Property("labels", extent=m),), dtype="int")
EXP = PRIMITIVES["exp"]
normal = Normalizer()


EQUAL = {
    "alpha": (sum_over((i,), v[i]), sum_over((j,), v[j])),
    "alpha, nested": (
        sum_over((i,), v[i] * sum_over((j,), A[i, j])),
        sum_over((k,), v[k] * sum_over((i,), A[k, i])),
    ),
    "order of binders": (sum_over((i, j), A[i, j] * v[i]), sum_over((i, j), A[j, i] * v[j])),
    "sums of sums": (sum_over((i,), sum_over((j,), A[i, j])), sum_over((i, j), A[i, j])),
    "symmetric chains": (sum_over((i, j), A[i, j] * B[j, i]), sum_over((i, j), B[i, j] * A[j, i])),
    "distribution": (sum_over((i,), (v[i] + 1) * w[i]), sum_over((i,), v[i] * w[i]) + sum_over((j,), w[j])),
    "a function of numbers": (call(EXP, v[i] - v[i]) * w[i], w[i]),
    "factors outside": (sum_over((i,), s * v[i]), s * sum_over((i,), v[i])),
    "independent sums": (sum_over((i, j), v[i] * w[j]), sum_over((i,), v[i]) * sum_over((i,), w[i])),
    "nothing depends": (sum_over((i, a), s), n * m * s),
    "squares": ((s + t) ** 2, s**2 + 2 * s * t + t**2),
    "powers of sums": ((s - t) * (s + t), s**2 - t**2),
    "cancelled": ((s**2 - t**2) / (s - t), s + t),
    "fractions": (s / (s + t) + t / (s + t), ONE),
    "one minus": (1 - 1 / (1 + s), s / (1 + s)),
    "delta": (sum_over((j,), compare("==", i, j) * v[j]), v[i]),
    "delta, twice": (sum_over((j, k), compare("==", i, j) * compare("==", j, k) * A[j, k]), A[i, i]),
    "delta at a place": (sum_over((i,), compare("==", i, j) * A[i, k] * v[i]), A[j, k] * v[j]),
    "delta at labels": (sum_over((a,), compare("==", a, y[i]) * X[i, a]), X[i, y[i]]),
    "delta in a factor": (sum_over((j,), (compare("==", i, j) - v[j]) * w[j]), w[i] - sum_over((j,), v[j] * w[j])),
    "masks": (compare("<", s, 0) * t + compare("<=", 0, s) * t, t),
    "mask squared": (power(compare("<", s, 0), 2) * t, compare("<", s, 0) * t),
    "masks joined": (compare("<=", s, t) * compare("!=", s, t), compare("<", s, t)),
    "masks that exclude": (compare("<", s, t) * compare("<", t, s), ZERO),
    "conditional": (select(compare("<", s, 0), t, t + 1), t + compare("<=", 0, s)),
    "exponentials": (call(EXP, -s) * call(EXP, s), ONE),
    "exponential below": (1 / call(EXP, -s), call(EXP, s)),
    "maxima": (reduce_("max", (i,), v[i] * A[i, j]), reduce_("max", (k,), A[k, j] * v[k])),
    "rational numbers": (Num(Fraction(1, 3)) * s + Num(Fraction(2, 3)) * s, s),
}
DIFFERENT = {
    "transposes": (A[i, j], A[j, i]),
    "chains": (sum_over((k,), A[i, k] * B[k, j]), sum_over((k,), A[k, i] * B[k, j])),
    "trace and total": (sum_over((i,), A[i, i]), sum_over((i, j), A[i, j])),
    "square of a sum": (sum_over((i,), v[i]) ** 2, sum_over((i,), v[i] ** 2)),
    "extents": (n * s, m * s),
    "two tensors of one name": (Tensor("v", (n,))[i], v[i]),
    "roots": (power(power(s, 2), Num(Fraction(1, 2))), s),
    "delta of a shorter axis": (sum_over((j,), compare("==", a, j) * v[j]), ONE),
    "argmax keeps the order": (Reduce("argmax", (i, j), A[i, j]), Reduce("argmax", (j, i), A[i, j])),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal(name):
    one, two = EQUAL[name]
    assert equal(one, two)
    assert Normalizer()(one) == Normalizer()(two)


@pytest.mark.parametrize("name", DIFFERENT)
def test_not_equal(name):
    assert not equal(*DIFFERENT[name])


@pytest.mark.parametrize("name", EQUAL)
def test_twice_is_once(name):
    for e in EQUAL[name]:
        once = normal(e)
        assert normal(once) == once
        assert once.letters <= e.letters


def test_deltas_leave_no_mask():
    for name in ("delta", "delta, twice", "delta at a place", "delta at labels", "delta in a factor"):
        assert not any(isinstance(c, Compare) for c in walk(normal(EQUAL[name][0])))


def test_a_delta_whose_letter_may_be_out_of_range_stays():
    guarded = sum_over((a,), compare("==", a, i) * X[i, a])  # i runs over n, a over m
    assert any(isinstance(c, Compare) for c in walk(normal(guarded)))


def test_a_bound_letter_is_not_confused_with_a_free_one():
    row, column = sum_over((j,), A[i, j]), sum_over((j,), A[j, i])
    assert not equal(row, column)
    assert equal(row * v[j], v[j] * sum_over((k,), A[i, k]))
    assert normal(sum_over((j,), A[i, j]) * v[j]).letters == {i, j}


def test_every_order_of_four_binders_gives_one_form():
    c, d = fresh(n, "c"), fresh(n, "d")
    forms = set()
    for order in itertools.permutations((i, j, c, d)):
        p, q, x, z = order
        forms.add(normal(sum_over((i, j, c, d), A[p, q] * B[q, x] * A[x, z] * v[p])))
    assert len(forms) == 1


def test_an_expansion_that_is_too_large_is_refused():
    names = [Tensor(f"t{k}", ()).at(()) for k in range(9)]
    e = mul(*(power(x + 1, 1) for x in names))
    with pytest.raises(TooLargeError):
        Normalizer()(e)
    assert not equal(e, ZERO)


def test_conditions_within_conditions():
    inner = select(compare("<", s, 0), ZERO, s)
    decided = normal(compare("<=", inner, 0) * t)
    assert not any(isinstance(c, Select) for c in walk(decided))
    np.testing.assert_allclose(value(decided), 0)
    mask = compare("<", s, 0)
    assert equal(negate(mask) * select(mask, t, s), negate(mask) * s)


RNG = np.random.default_rng(4)
VALUES = {A: RNG.normal(size=(3, 3)), B: RNG.normal(size=(3, 3)), X: RNG.normal(size=(3, 5))}
VALUES |= {v: RNG.normal(size=3), w: RNG.normal(size=3), s.tensor: np.array(0.7), t.tensor: np.array(-1.2)}
VALUES[y] = np.array([4, 0, 2])
SIZES = {"n": 3, "m": 5}


def value(e: Expr) -> np.ndarray:
    return evaluate_expr(e, (i, j, k), VALUES, SIZES)


@pytest.mark.parametrize("name", EQUAL)
def test_the_value_stays(name):
    for e in EQUAL[name]:
        if not e.letters <= {i, j, k}:
            continue
        np.testing.assert_allclose(value(normal(e)), value(e), rtol=1e-10, atol=1e-12)


atoms = st.sampled_from(
    [A[i, j], B[j, k], A[k, i], v[i], v[j], w[k], s, num(2), compare("==", i, k), compare("<", v[j], 0), n]
)


def _grow(e: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.tuples(e, e).map(lambda x: x[0] + x[1]),
        st.tuples(e, e).map(lambda x: x[0] * x[1]),
        st.tuples(st.sampled_from([(i,), (j,), (k,), (j, k)]), e).map(lambda x: sum_over(*x)),
        e.map(lambda x: power(x, 2)),
        e.map(lambda x: x / (1 + power(s, 2))),
        e.map(lambda x: select(compare("<", v[i], w[k]), x, num(1))),
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.recursive(atoms, _grow, max_leaves=8))
def test_random_expressions_keep_their_value(e):
    try:
        short = Normalizer()(e)
    except TooLargeError:
        return
    assert short.letters <= e.letters
    np.testing.assert_allclose(value(short), value(e), rtol=1e-9, atol=1e-9)
    assert Normalizer()(short) == short


def test_a_mask_below_a_fraction_line_is_no_guard():
    """1/(s·[t ≠ 0]) has a value where the mask is 1 only; so has 1/(s if t ≠ 0 else 0)."""
    normal, mask = Normalizer(), compare("!=", t, 0)
    assert normal(power(mul(s, mask), -1)) == power(s, -1)
    assert normal(power(select(mask, s, 0), -2)) == power(s, -2)
    assert normal(power(mul(s, mask), -1) * mask) == mul(mask, power(s, -1))
    assert normal(power(mul(s, mask), 2)) == mul(mask, power(s, 2))


def test_masks_are_joined_behind_a_common_denominator_too():
    """What a common denominator brings together, [c]·x + [not c]·x, is x at once and not the next time."""
    e = select(compare("<", v[i], w[k]), power(1 + power(s, 2), -1), num(1))
    short = Normalizer()(e)
    assert Normalizer()(short) == short
