"""What is said of typical mistakes: the kind, and the line put right."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from derive.claims import FOLLOWS, NOTED, PROVED, REFUTED, formulas_in, verify_formulas
from derive.errors import SourceError

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SOFTMAX = "dims k\nparam z : [k]\ninput y : [k]\np = softmax(z)\nminimize sum((p - y)^2)"


def said(model, line):
    program = (derive.parse(SOFTMAX) if model == "softmax" else derive.load(EXAMPLES / f"{model}.gc")).program
    (found,) = verify_formulas(program, [line])
    return found


@pytest.mark.parametrize(
    ("model", "line", "words"),
    [
        ("linear_regression", "dyhat = 2*(y - yhat)/n", "sign: the right side is the negative"),
        ("linear_regression", "dyhat = 2*(yhat - y)", "factor: the factor 1/n is missing"),
        ("linear_regression", "dyhat = 2*yhat - 2*y/n", "brackets: all of 2 * yhat - 2 * y is meant"),
        ("linear_regression", "dyhat = yhat - y/n", "needs brackets; besides, the factor 2 is missing"),
        ("linear_regression", "dyhat = abs(yhat - y)/n", "abs(…) around yhat - y is too much; besides, the factor 2"),
        ("linear_regression", "dw = X @ dyhat", "transpose: "),
        ("linear_regression", "dw = X' * dyhat", "kind of product: "),
        ("linear_regression", "db = dyhat", "right is db = sum(dyhat)"),
        ("linear_regression", "dw = 2/n * X' @ (X @ w - y)", "+ b beside X @ w - y is missing"),
        ("logistic_regression", "dz = (p-y)*p*(1-p)/n", "extra factor: p * (1 - p) is too much"),
        ("logistic_regression", "dp = (p-y)/p*(1-p)/n", "right is dp = (p - y) / (p * (1 - p)) / n"),
        ("logistic_regression", "dp = -(y/p)/n", "missing term: the term (1 − y[n])/(n (1 − p[n]))"),
        ("logistic_regression", "dz = dp*p", "the factor 1 − p[n] is missing"),
        ("logistic_regression", "dz = dp*z*(1-z)", "p is right in the place of z, everywhere"),
        ("logistic_regression", "dw = sum(X*dz, axis=0)", "right is dw = sum(X * col(dz), axis=0)"),
        ("digits_rows", "dW2 = dZ2' @ A1", "right is dW2 = A1' @ dZ2"),
        ("digits_rows", "db2 = sum(dZ2)", "right is db2 = sum(dZ2, axis=0)"),
        ("digits_rows", "dZ1 = dA1 * relu(Z1)", "wrong function: relu′ is right in the place of relu"),
        ("digits_rows", "dZ1 = dA1 * (A1*(1-A1))", "1[Z1[n,h] > 0] belongs in the place of A1 * (1 - A1)"),
        ("digits_rows", "dW1 = X' @ (dZ2 @ W2')", "the factor relu′(Z1) beside dZ2 @ W2' is missing"),
        ("digits_rows", "dP = (P - Y)/n", "wrong left side: it is what dZ2 is, not dP"),
        ("digits_rows", "dP = -1/P/n", "the factor Y[n,c] is missing"),
        ("digits_rows", "dW2 = A1' @ dZ1", "dZ2 is right in the place of dZ1"),
        ("xor", "dZ1 = dA1*(1-A1)", "A1 is to be squared"),
        ("xor", "dZ1 = dA1*(1-A1)^2", "only A1 is raised"),
        ("xor", "dZ1 = dA1 * tanh(Z1)", "tanh′ is right in the place of tanh"),
        ("softmax", "dz = p*(dp - sum(dp))", "right is dz = p * (dp - sum(dp * p))"),
        (
            "softmax",
            "d(p,z)[i,j] = p[i]*(1-p[i]) if i == j else p[i]*p[j]",
            "the sign of the case p[i] * p[j] is wrong",
        ),
        ("softmax", "d(p,z)[i,j] = p[i]*(1-p[i]) if i == j else 0", "wrong where [i ≠ j]: there −p[i] p[j] is right"),
        ("softmax", "dz = (diag(p) - p*p) @ dp", "right is dz = (diag(p) - p @ p') @ dp"),
    ],
)
def test_a_typical_mistake_is_explained(model, line, words):
    found = said(model, line)
    assert found.status == REFUTED
    assert words in found.reason


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("digits_rows", "dZ1 = dA1 * relu_prime(A1)"),
        ("digits_rows", "dZ1 = dA1 ⊙ relu′(A1)"),
        ("linear_regression", "dw = dyhat @ X"),
        ("softmax", "dz = (diag(p) - p p') dp"),
    ],
)
def test_what_looks_wrong_and_is_right_is_proved(model, line):
    assert said(model, line).status == PROVED


SHEET = """\
# a sheet of formulas
dZ2 = P - Y            # the 1/n is forgotten

dW2 = A1' @ (P - Y)
R = dZ2 @ W2'
dZ1 = R * (Z1 > 0)
"""


def test_a_line_that_follows_from_a_refuted_one_is_not_blamed():
    program = derive.load(EXAMPLES / "digits_rows.gc").program
    found = verify_formulas(program, formulas_in(SHEET, "sheet.txt"))
    assert [v.status for v in found] == [REFUTED, FOLLOWS, NOTED, PROVED]
    assert [v.where for v in found] == [f"sheet.txt:{k}" for k in (2, 4, 5, 6)]
    assert "dZ2" in found[1].reason


def test_names_of_ones_own_win_over_those_of_gradc():
    program = derive.parse("dims n\nparam x : [n]\nminimize sum(softmax(x)^2)").program
    lines = ["S = x + 1", "E = S - 1", "dx = 2*softmax(x)*(softmax(E) - sum(softmax(E)^2))"]
    assert [v.status for v in verify_formulas(program, lines)] == [NOTED, NOTED, PROVED]
    (found,) = verify_formulas(program, ["S = sum(exp(x))"])
    assert found.status == PROVED


def test_definitions_stand_behind_with():
    program = derive.parse("dims n\nparam x : [n]\nminimize sum(softmax(x)^2)").program
    line = "dx = 2 p ⊙ (p − S), with p = q/sum(q), q = exp(x), S = sum(p^2)"
    assert [v.status for v in verify_formulas(program, [line])] == [PROVED]
    (found,) = verify_formulas(program, ["dx[i] = 2 p[i] (p[i] − Σ_k p[k]²), with p[j] = exp(x[j]) / Σ_m exp(x[m])"])
    assert found.status == PROVED
    with pytest.raises(SourceError, match="by way of itself"):
        verify_formulas(program, ["dx = p, with p = q, q = p"])
    with pytest.raises(SourceError, match="defined in the model"):
        verify_formulas(program, ["dx = x, with x = 2"])


def test_names_that_gradc_gave_are_told():
    program = derive.parse("dims n\nparam x : [n]\nminimize log(sum(exp(x)))").program
    (found,) = verify_formulas(program, ["dx = E / S"])
    assert found.status == PROVED
    assert "E = exp(x)" in str(found)


def test_errors_stand_at_their_line():
    program = derive.load(EXAMPLES / "digits_rows.gc").program
    with pytest.raises(SourceError) as caught:
        verify_formulas(program, formulas_in("# x\ndW2 = A1' @ dQ2\n", "sheet.txt"))
    assert str(caught.value).startswith("sheet.txt:2:13: error: unknown name dQ2")
    with pytest.raises(SourceError, match="unknown name j") as caught:
        verify_formulas(derive.parse(SOFTMAX).program, ["dz[i] = sum[j] dp[j] if i == j else 0"])
    assert "brackets" in str(caught.value)


def test_a_pole_where_what_is_right_is_finite_is_a_difference():
    found = said("digits_rows", "dP = -1/(P*Y)/n")
    assert found.status == REFUTED
    assert "inf" in str(found.witness)
