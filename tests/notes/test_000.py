"""Table 000: losses, the softmax, and the affine function as expanded Jacobians."""

from __future__ import annotations

import numpy as np
import pytest

from derive import forms
from derive.evaluate import evaluate
from derive.expr import Expr, Reduce
from derive.notation import Notation
from derive.program import reads
from derive.steps.step import Ratio, RowColumn

COLUMN = "batch n\ntarget Y : [n]\ninput Q : [n]\n"
CLASSES = "dims k = 5\nbatch n\ntarget Y : [n, k]{promise}\ninput L : [n, k]\n"
PRODUCT = (
    "dims a = 3, b = 5, c = 7\ninput A : [a, b]\ninput B : [b, c]\ninput dC : [a, c]\nC = A @ B\nJ = sum(dC * C)\n"
)


def test_row_0_1_mean_squared_error(notes):
    row = notes(COLUMN + "minimize sum((Y - Q)^2) / n\n")
    row.gradient("Q", "dQ = -2 / n * (Y - Q)")
    notes(COLUMN + "J = sum((Y - Q)^2) / n\n").both_layouts("J", "Q")


def test_row_0_2_binary_cross_entropy(notes):
    text = COLUMN.replace("Y : [n]", "Y : [n] binary")
    row = notes(text + "minimize -sum(Y * log(Q) + (1 - Y) * log(1 - Q)) / n\n")
    row.gradient("Q", "dQ = 1 / n * (Q - Y) / (Q * (1 - Q))")
    notes(text + "J = bce(Y, Q)\n").both_layouts("J", "Q")


def test_row_0_3_categorical_cross_entropy(notes):
    text = CLASSES.format(promise="").replace("input L", "input Q")
    notes(text + "minimize -sum(Y * log(Q)) / n\n").gradient("Q", "dQ = -1 / n * Y / Q")
    # The double sum collapses: its terms, of which one is left.
    row = notes(text + "minimize -sum(Y * log(Q)) / n\n")
    steps = row.model.gradient("Q")["Q"].steps()
    terms = row.told(steps, "S[s:n, m:k] = -1 / n * sum[i, j] Y[i, j] * (i == s) * (j == m) / Q[i, j]")
    assert steps.index(terms) < steps.index(row.told(steps, "S[s, m] = -Y[s, m] / (n * Q[s, m])"))
    # By way of the losses of the samples: the total derivative, the local one, the one sample that feels it.
    row = notes(text + "J0 = -sum(Y * log(Q), axis=1)\nminimize sum(J0) / n\n")
    row.gradient("Q", "dQ = -1 / n * Y / Q")
    steps = row.model.gradient("Q")["Q"].steps()
    total = next(s for s in steps if isinstance(s.after, Reduce) and any(t.of.name == "J0" for t in ratios(s.after)))
    local = row.told(steps, "S[i, s:n, k] = -(i == s) * Y[i, k] / Q[i, k]")
    last = row.told(steps, "S[i, k] = -Y[i, k] / (n * Q[i, k])")
    assert steps.index(total) < steps.index(local) < steps.index(last)


def test_row_0_4_total_derivative(notes):
    row = notes("dims k = 5\ntarget y : [k]\ninput l : [k]\np = softmax(l)\nJ = -sum(y * log(p))\n")
    row.chain("J", "p", "l")
    steps = notes(row.text.replace("J =", "minimize")).model.gradient("l").steps()
    assert any(isinstance(s.after, Reduce) and [t.name for t in ratios(s.after)][-1:] == ["∂p/∂l"] for s in steps)


def test_row_0_5_softmax_and_cross_entropy(notes):
    model = "P = softmax(L, axis=1)\nminimize -sum(Y * log(P)) / n\n"
    for promise in (" one_hot", " simplex"):
        notes(CLASSES.format(promise=promise) + model).gradient("L", "dL = -1 / n * (Y - P)")
    row = notes(CLASSES.format(promise=" one_hot") + model)
    steps = row.model.gradient("L")["L"].steps()
    row.told(steps, "S[i, j] = (P[i, j] * (sum[m] Y[i, m]) - Y[i, j]) / n")
    row.told(steps, "S[i, j] = (P[i, j] - Y[i, j]) / n")
    # Without the promise Σ y = 1, which the notes leave unsaid, the sum stays.
    notes(CLASSES.format(promise="") + model).gradient("L", "dL[i, j] = -1 / n * (Y[i, j] - P[i, j] * sum[m] Y[i, m])")


def test_row_0_6_dependencies_of_a_product(notes):
    row = notes(PRODUCT)
    jacobian = row.jacobian("C", "A", "S[i:a, j, m:a, p] = (i == m) * B[p, j]")  # row i of A feeds row i of C
    row.jacobian("C", "B", "S[i, j:c, p, m:c] = (j == m) * A[i, p]")  # column j of B feeds column j of C
    assert jacobian.element == "∂C_ij/∂A_kl = [i = k] B_lj"


def test_row_0_7_transpose(notes):
    notes("dims a = 3, b = 5\ninput M : [a, b]\nT = M'\n").jacobian(
        "T", "M", "S[i:b, j:a, p:a, q:b] = (i == q) * (j == p)"
    )
    row = notes("dims a = 3, b = 5\ninput M : [a, b]\nT[i, j] = M[j, i]\n")
    assert Notation(row.program).matrix(row.program.equations[0]) == "T = Mᵀ"


def test_rows_0_8_and_0_9_product(notes):
    row = notes(PRODUCT.replace("J = ", "minimize "))
    row.gradient("A", "dA = dC @ B'")
    row.gradient("A", "dA[i, j] = sum[m] dC[i, m] * B[j, m]")
    row.gradient("B", "dB = A' @ dC")
    assert row.model.gradient("A")["A"].matrix == "dA = dC Bᵀ"
    assert row.model.gradient("B")["B"].matrix == "dB = Aᵀ dC"
    found = row.model.gradient("A", "B")
    for name, line, first, second in (
        ("A", "dA[i, j] = sum[m] dC[i, m] * B[j, m]", "dC", "B"),
        ("B", "dB[i, j] = sum[m] A[m, i] * dC[m, j]", "A", "dC"),
    ):
        steps = found[name].steps()
        after = steps[steps.index(row.told(steps, line)) + 1]  # the sum, read as a row times a column
        assert isinstance(after.after, RowColumn)
        assert [n.tensor.name for n in forms.walk(after.after.product) if isinstance(n, forms.Leaf)] == [first, second]


def test_row_0_10_bias(notes):
    row = notes(
        "dims a = 3, b = 5\ninput A : [a, b]\nparam v : [b]\ninput dC : [a, b]\nC = A + v\nminimize sum(dC * C)\n"
    )
    row.gradient("v", "dv = sum(dC, axis=0)")
    row.gradient("v", "dv[j] = sum[p] dC[p, j]")
    column = notes(  # b declared as a column, as in the notes
        "dims a = 3, b = 5\ninput A : [a, b]\nparam v : [b, 1]\ninput dC : [a, b]\nC = A + v'\nminimize sum(dC * C)\n"
    )
    column.gradient("v", "dv[j, k:1] = sum[p] dC[p, j]")


def test_row_0_11_affine_layer(notes):
    row = notes(
        "dims i = 3, o = 5\nbatch n\ninput X : [n, i]\nparam W : [i, o]\nparam b : [o]\ninput dZ : [n, o]\n"
        "Z = X @ W + b\nminimize sum(dZ * Z)\n"
    )
    row.gradient("X", "dX = dZ @ W'")
    row.gradient("W", "dW = X' @ dZ")
    row.gradient("b", "db = sum(dZ, axis=0)")
    wide = notes(row.text.replace("param b : [o]", "param b : [1, o]"))
    wide.gradient("b", "db[k:1, j] = sum[i] dZ[i, j]")
    found = evaluate(row.model.gradient("X", "W", "b").program, row.values)
    assert np.shape(found["dW"]) == (3, 5)


def ratios(side):
    """The derivatives, as ∂J/∂C, that a side of a step names."""
    return [t for t in reads(side) if isinstance(t, Ratio)] if isinstance(side, Expr) else []


@pytest.mark.parametrize("statement", ["dB = A @ dC'", "dB = -A' @ dC", "dB = 2 * A' @ dC", "dB = A' @ C"])
def test_a_wrong_statement_is_refused(notes, statement):
    row = notes(PRODUCT.replace("a = 3, b = 5, c = 7", "a = 3, b = a, c = a").replace("J = ", "minimize "))
    with pytest.raises(AssertionError):
        row.gradient("B", statement)
