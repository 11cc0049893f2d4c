"""Random operands against NumPy's broadcasting, and random damage to good models: only explained errors come out."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.errors import GradcError, SourceError
from derive.evaluate import evaluate
from derive.language.parse import parse
from derive.language.read import read

SIZES = {"m": 3, "n": 5, "1": 1}
shapes = st.lists(st.sampled_from(sorted(SIZES)), max_size=3)


def attempt(text):
    """The program, or the error that a user would see."""
    try:
        return read(parse(text))
    except GradcError as error:
        return error


def array(axes, seed):
    return np.random.default_rng(seed).normal(size=[SIZES[a] for a in axes])


@settings(max_examples=150, deadline=None)
@given(shapes, shapes)
def test_broadcasting_is_numpys_or_refused(a, b):
    text = f"dims m = 3, n = 5\ninput A : [{', '.join(a)}]\ninput B : [{', '.join(b)}]\nR = A * B"
    values = {"A": array(a, 1), "B": array(b, 2)}
    try:
        expected = values["A"] * values["B"]
    except ValueError:
        expected = None
    program = attempt(text)
    if isinstance(program, SourceError):
        assert program.span is not None
        if expected is not None:  # refused because it is ambiguous: an axis stands twice
            assert len(a) != len(b)
            assert "ambiguous" in program.message
            shape = expected.shape
            assert any(shape.count(SIZES[x]) > 1 for x in {*a, *b} if x != "1")
        return
    assert expected is not None
    got = evaluate(program, values)["R"]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected)


@settings(max_examples=150, deadline=None)
@given(shapes.filter(len), shapes.filter(len))
def test_matrix_products_are_numpys_or_refused(a, b):
    text = f"dims m = 3, n = 5\ninput A : [{', '.join(a)}]\ninput B : [{', '.join(b)}]\nR = A @ B"
    values = {"A": array(a, 1), "B": array(b, 2)}
    fits = len(a) < 3 and len(b) < 3 and a[-1] == b[0]
    program = attempt(text)
    assert fits is not isinstance(program, SourceError)
    if fits:
        got = evaluate(program, values)["R"]
        np.testing.assert_allclose(got, values["A"] @ values["B"], rtol=1e-12)


MODEL = """dims d = 5, h = 3, c = 2, o = d-h+1
batch n
const w : [h] = [1, 2, 3]
const half = 1/2
fn f(x, k) = half*x^2 if x > k else exp(x)
input X : [n, d]
input t : [n] labels(h)
target Y : [n, c] one_hot
param W : [d, h] ~ he_normal()
param V : [h, c] in -1..1 ~ uniform(-1, 1)
A = relu(X @ W + w)
B[i, j] = sum[k] A[i, k]*V[k, j] if j > 0 else W[0, t[i]]
P = softmax(B, axis=c)
q = f(sum(A, axis=1), 2) - X[:, 1:o][:, 0]
minimize cross_entropy(Y, P) + mean(q) + norm(W)
optimizer adam(lr=1e-3)
output P, B
"""
TOKENS = re.findall(r"\w+|\s+|[^\w\s]", MODEL)


def test_the_model_reads():
    assert len(read(parse(MODEL)).equations) == 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.integers(0, len(TOKENS) - 1)), min_size=1, max_size=3))
def test_damaged_models_are_refused_with_a_reason(swaps):
    tokens = list(TOKENS)
    for to, source in swaps:
        tokens[to] = TOKENS[source]
    outcome = attempt("".join(tokens))
    assert str(outcome)
