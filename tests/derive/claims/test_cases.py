"""Proofs by cases: formulas with conditions are proved, and a choice at a kink is told from an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derive
from derive.claims import PROVED, REFUTED, verify_formulas
from derive.claims.cases import Cases, assume, told
from derive.evaluate import evaluate_expr
from derive.expr import ONE, ZERO, Compare, Expr, add, compare, mul, negate, num, select
from derive.normal import Normalizer, TooLargeError
from derive.program import Tensor


def vector(definition: str, extra: str = "") -> str:
    return f"dims k\nparam z : [k]\ninput G : [k]\n{extra}a = {definition}\nminimize sum(G * a)"


def verdicts(text: str, *lines: str):
    return verify_formulas(derive.parse(text).program, lines)


SOFTMAX = "dims k\nparam z : [k]\np = softmax(z)\noutput p"
NEURON = """\
dims d
batch n
input X : [n, d]
target y : [n]
param w : [d]
param b
z = X @ w + b
a = relu(z)
v = y - a
minimize sum(v^2) / (2 * n)
"""


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (SOFTMAX, "d(p, z)[i,j] = p[i]*(1-p[i]) if i == j else -p[i]*p[j]"),
        (SOFTMAX, "d(p, z)[i,j] = -p[i]*p[j] if i != j else p[i]*(1-p[j])"),
        (SOFTMAX, "d(p, z)[i,j] = -p[i]*p[j] if i < j else (p[j]*(1-p[i]) if i <= j else -p[i]*p[j])"),
        (vector("relu(z)"), "dz = da * (1 - (z <= 0))"),
        (vector("relu(z)"), "dz = da * (not z <= 0)"),
        (vector("relu(z)"), "dz = da * (2*z > 0)"),
        (vector("relu(z)"), "dz = da * (-z < 0)"),
        (vector("relu(z)"), "dz = 0 if z <= 0 else G"),
        (vector("relu(z)"), "a = (z + abs(z)) / 2"),
        (vector("relu(z)"), "a = z if z >= 0 else 0"),
        (vector("relu(z)"), "dz = G * (a > 0)"),
        (vector("leaky_relu(z, 0.1)"), "a = max(z, z/10)"),
        (vector("abs(z)"), "dz = G * sign(z)"),
        (vector("elu(z)"), "dz = G * exp(min(z, 0))"),
        (vector("elu(z)"), "dz = G * (1 if z >= 0 else exp(z))"),
        (vector("hard_sigmoid(z)"), "a = 0 if z < -3 else (1 if z > 3 else z/6 + 1/2)"),
        (vector("hard_sigmoid(z)"), "a = 1 if z >= 3 else (z/6 + 1/2 if z > -3 else 0)"),
        (vector("z if z < c else c", "input c\n"), "a = min(z, c)"),
        (vector("log(z) if z > 1 else z - 1"), "dz = G / max(z, 1)"),
        (NEURON, "dw[j] = sum[i] (0 if z[i] <= 0 else -v[i]*X[i,j]) / n"),
        (NEURON, "dw[j] = sum[i] (0 if X[i,j] == 0 else -v[i]*X[i,j]*(z[i] > 0)) / n"),
        (NEURON, "db = sum(0 if z <= 0 else X @ w + b - y) / n"),
        ("dims c\ntarget y : [c] one_hot\ninput q : [c] positive\nminimize -sum(y*log(q))", "dq = -(y > 0) / q"),
        ("dims c\ntarget y : [c] one_hot\nparam q : [c]\nminimize -sum(y*q)", "dq = -1 if y == 1 else 0"),
    ],
)
def test_formulas_in_cases_are_proved(model, line):
    (found,) = verdicts(model, line)
    assert found.status == PROVED, str(found)


@pytest.mark.parametrize(
    ("model", "line", "words"),
    [
        (vector("relu(z)"), "dz = da * (z >= 0)", "except where z[k] = 0; there gradc takes 0, the line da[k]"),
        (vector("relu(z)"), "dz = G * (1 + sign(z)) / 2", "there gradc takes 0, the line G[k]/2"),
        (vector("abs(z)"), "dz = G if z >= 0 else -G", "there gradc takes 0, the line G[k]"),
        (vector("hard_sigmoid(z)"), "dz = G/6 if (z > -3 and z < 3) else 0", "where z[k] = −3"),
        (vector("max(z, c)", "input c : [k]\n"), "dz = G * (z > c)", "z[k]"),
        (NEURON, "dw[j] = -sum[i] v[i]*X[i,j]*(z[i] >= 0) / n", "where z[n] = 0"),
    ],
)
def test_another_choice_at_a_kink_is_called_that_and_shown(model, line, words):
    (found,) = verdicts(model, line)
    assert (found.status, found.kind) == (REFUTED, "kink"), str(found)
    assert "at the kink only" in found.reason
    assert words in found.reason
    assert found.witness is not None
    assert found.witness.right != found.witness.given


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (SOFTMAX, "d(p, z)[i,j] = p[i]*(1-p[i]) if i == j else p[i]*p[j]"),
        (vector("relu(z)"), "dz = da * (1 - (z > 0))"),
        (vector("relu(z)"), "dz = sqrt((da if z > 0 else 0)^2)"),
        (vector("elu(z)"), "dz = G * exp(max(z, 0))"),
    ],
)
def test_wrong_cases_are_refuted_away_from_the_kink(model, line):
    (found,) = verdicts(model, line)
    assert found.status == REFUTED
    assert found.kind != "kink"


Z = Tensor("z", ()).at(())
W = Tensor("w", ()).at(())
SIDES = st.sampled_from([ZERO, ONE, Z, W, num(2), add(Z, -1), add(W, mul(-1, Z)), mul(-2, Z)])
MASKS = st.builds(compare, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), SIDES, SIDES)


def grown(children: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pair = st.tuples(children, children)
    return st.one_of(
        pair.map(lambda p: add(*p)),
        pair.map(lambda p: mul(*p)),
        st.tuples(MASKS, children, children).map(lambda t: select(*t)),
        st.tuples(MASKS, children).map(lambda t: mul(negate(t[0]), t[1])),
        st.tuples(children, children, children).map(lambda t: select(compare("<", t[0], t[1]), t[1], t[2])),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.one_of(SIDES, MASKS), grown, max_leaves=5))
def test_an_expression_by_cases_has_the_same_values(e):
    try:
        found = Cases(Normalizer())(e)
    except TooLargeError:
        return
    for z, w in np.array(np.meshgrid([-1.5, -1, 0, 0.5, 1, 2, 3], [-1, 0, 1.25, 2])).reshape(2, -1).T:
        arrays = {Z.tensor: np.array(z), W.tensor: np.array(w)}
        assert evaluate_expr(found, (), arrays, {}) == pytest.approx(evaluate_expr(e, (), arrays, {}), abs=1e-9)


def test_masks_of_one_line_decide_each_other():
    less, here = Compare("<", Z, num(1)), compare("==", Z, num(3))
    assert assume(here, less, True) == ZERO
    assert assume(Compare("<", Z, num(5)), here, True) == ONE
    assert assume(Compare("<", Z, ZERO), less, False) == ZERO
    assert assume(Compare("<", W, ZERO), less, True) == Compare("<", W, ZERO)
    assert told(mul(less, here)) == ZERO
    assert told(mul(here, Z)) == mul(3, here)


POWERS = "dims d, k\ninput a : [d]\nparam X : [d, d]\nparam Z : [d, k]\nparam x : [d]\nminimize {}"


@pytest.mark.parametrize(
    ("objective", "line", "status"),
    [
        ("trace(X @ X @ X)", "dX = 3 (Xᵀ)²", PROVED),  # of a square matrix it is the power of the matrix
        ("trace(X @ X @ X)", "dX = 3 (X²)ᵀ", PROVED),
        ("trace(X @ X @ X)", "dX = 3 * np.linalg.matrix_power(X, 2).T", PROVED),
        ("trace(X @ X @ X)", "dX = 3 (Xᵀ)∘²", REFUTED),
        ("sum(X^3)", "dX = 3 X∘²", PROVED),
        ("sum(X^3)", "dX = 3 X²", REFUTED),
        ("sum(X^3)", "dX = 3 * X^2", PROVED),  # in the language it is always that of the entries
        ("sum(Z^3)", "dZ = 3 Z²", PROVED),  # and of anything else
        ("sum(x^3)", "dx = 3 x²", PROVED),
        ("sum(1/x)", "dx = −x⁻²", PROVED),
        ("sum(1/x)", "dx[i] = −x[i]⁻²", PROVED),
        ("trace(inv(X))", "dX = −(X⁻²)ᵀ", PROVED),
        ("trace(inv(X))", "dX = −(X⁻ᵀ)²", PROVED),
    ],
)
def test_a_raised_number_behind_a_square_matrix_is_its_power(objective, line, status):
    (found,) = verdicts(POWERS.format(objective), line)
    assert found.status == status
