"""Common factors cancel where a sum stands below a fraction line; factoring and cancelling keep the value."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.evaluate import evaluate_expr
from derive.expr import Add, Expr, Num, Pow, call, num, power
from derive.functions import PRIMITIVES
from derive.program import Tensor
from derive.rational import cancel, has_sum_below
from derive.rewrite import walk

p, q, z = (Tensor(x, ()).at(()) for x in "pqz")


def value(e: Expr, at: float = 0.3) -> float:
    return float(evaluate_expr(e, (), {p.tensor: at, q.tensor: 1.7, z.tensor: -0.6}, {}))


CASES = [
    (p / (p + q) + q / (p + q), num(1)),
    ((p**2 - q**2) / (p - q), p + q),
    ((1 - p) / (1 - p), num(1)),
    (p * (1 - p) / (p * (1 - p)), num(1)),
    ((p - z) / (p * (1 - p)) * p * (1 - p), p - z),
    (1 / (1 + p) + 1 / (1 - p), 2 / (1 - p**2)),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_cancelled(case):
    e, want = CASES[case]
    if has_sum_below(e):
        e = cancel(e)
    assert value(e) == pytest.approx(value(want))
    if isinstance(want, Num):
        assert e == want


def test_what_is_below():
    assert has_sum_below(p / (1 + q))
    assert not has_sum_below(p / q)
    assert not has_sum_below(p * power(1 + q, Num(Fraction(-1, 2))))
    assert not has_sum_below(call(PRIMITIVES["exp"], 1 / (1 + p)))


def test_denominators_read_one_minus_p():
    e = cancel(z / (p - 1))
    below = [n.base for n in walk(e) if isinstance(n, Pow) and isinstance(n.base, Add)]
    assert below == [1 - p]
    assert value(e) == pytest.approx(-0.6 / (0.3 - 1))


def test_what_is_no_polynomial_is_opaque():
    e = call(PRIMITIVES["exp"], p)
    assert cancel((e**2 - 1) / (e + 1)) == e - 1
    root = power(p, Num(Fraction(1, 2)))
    assert value(cancel(root / (1 + root) + 1 / (1 + root))) == pytest.approx(1)


sums = st.recursive(
    st.sampled_from([p, q, z, num(1), num(2), Num(Fraction(1, 3))]),
    lambda e: st.one_of(
        st.tuples(e, e).map(lambda t: t[0] + t[1]),
        st.tuples(e, e).map(lambda t: t[0] * t[1]),
        st.tuples(e, e).map(lambda t: t[0] / (t[1] ** 2 + 1)),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(sums)
def test_values_stay(e):
    assert value(cancel(e)) == pytest.approx(value(e), rel=1e-9, abs=1e-9)
