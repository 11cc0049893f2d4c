"""Extraction never costs more, never changes a value, and finds the factors a person would take out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.cost import cost
from derive.evaluate import evaluate_expr
from derive.expr import Dim, Expr, call, compare, fresh, mul, num, power, sum_over
from derive.extract import extract
from derive.functions import PRIMITIVES
from derive.normal import Normalizer, TooLargeError, equal
from derive.program import Tensor

n = Dim("n")
i, j, k = fresh(n, "i"), fresh(n, "j"), fresh(n, "k")
G, P, Y, W = (Tensor(x, (n, n)) for x in "GPYW")
v, w = Tensor("v", (n,)), Tensor("w", (n,))
a, b, c, d = (Tensor(x, ()).at(()) for x in "abcd")
EXP = PRIMITIVES["exp"]
RNG = np.random.default_rng(5)
VALUES = {t: RNG.uniform(0.3, 1.5, (3, 3)) for t in (G, P, Y, W)} | {t: RNG.uniform(0.3, 1.5, 3) for t in (v, w)}
VALUES |= {t.tensor: np.array(0.4 + 0.3 * k) for k, t in enumerate((a, b, c, d))}

CASES = {
    "common factor": (a * b + a * c, "a·(c + b)"),
    "quotient of a difference": (P[i, j] / n - Y[i, j] / n, None),
    "sigmoid": (a - a**2, None),
    "horner": (a * b * c + a * b * d + a, None),
    "two brackets": (a * c + a * d + b * c + b * d, None),
    "brackets with a square": (a + b**2 * c - c - a * b**2, "(-1·b^2 + 1)·(-1·c + a)"),
    "square": (a**2 + 2 * a * b + b**2, None),
    "numbers": (4 * a + 6 * b, None),
    "softmax": (P[i, j] * G[i, j] - P[i, j] * sum_over((k,), G[i, k] * P[i, k]), None),
    "joined sums": (sum_over((k,), W[i, k] * P[k, j]) - sum_over((k,), W[i, k] * Y[k, j]), None),
    "common denominator": (a / (1 + b) + c / (1 + b), None),
    "masks": (compare("<", a, 0) * b * c + compare("<", a, 0) * b * d, None),
    "nothing to do": (a + b, None),
    "exponential below": (a / call(EXP, b), None),
}


def value(e: Expr) -> np.ndarray:
    return evaluate_expr(e, (i, j), VALUES, {"n": 3})


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    e, text = CASES[name]
    short = extract(e)
    assert cost(short) <= cost(e)
    assert equal(short, e)
    np.testing.assert_allclose(value(short), value(e), rtol=1e-12)
    if text is not None:
        assert repr(short) == text
    if name not in ("sigmoid", "nothing to do", "exponential below", "numbers"):
        assert cost(short) < cost(e)


def test_what_a_person_would_write():
    assert extract(a - a**2) == mul(a, 1 - a)
    assert cost(extract(a * c + a * d + b * c + b * d)) == cost((a + b) * (c + d))
    assert cost(extract(a**2 + 2 * a * b + b**2)) == cost(power(a + b, 2))
    softmax = P[i, j] * G[i, j] - P[i, j] * sum_over((k,), G[i, k] * P[i, k])
    assert cost(extract(softmax)) == cost(P[i, j] * (G[i, j] - sum_over((k,), G[i, k] * P[i, k])))
    residual = sum_over((k,), W[i, k] * P[k, j]) - sum_over((k,), W[i, k] * Y[k, j])
    assert cost(extract(residual)).by_degree[3] == 2  # one product of matrices, not two


def test_negative_exponents():
    assert extract(a / call(EXP, b)) == a * call(EXP, -b)
    both = extract(a / call(EXP, b) + call(EXP, b))
    assert repr(both).count("exp(") == repr(both).count("exp(b)")  # one exponential serves both


terms = st.lists(
    st.lists(
        st.sampled_from(
            [
                a,
                b,
                c,
                v[i],
                w[j],
                P[i, j],
                G[j, i],
                num(2),
                num(-3),
                n,
                power(a, 2),
                power(b, -1),
                compare("<", v[i], w[j]),
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(terms, st.booleans())
def test_random_sums(parts, summed):
    e: Expr = num(0)
    for k, p in enumerate(parts):
        product = mul(*p)
        e = e + (sum_over((j,), product) * w[j] if summed and k % 2 else product)
    try:
        e = Normalizer()(e)
    except TooLargeError:
        return
    short = extract(e)
    assert cost(short) <= cost(e)
    np.testing.assert_allclose(value(short), value(e), rtol=1e-9, atol=1e-9)
