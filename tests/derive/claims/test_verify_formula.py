"""Formulas of a person's own: what is right is proved, what is wrong is refuted and located."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from derive.claims import AGREES, PROVED, REFUTED, verify_formulas
from derive.claims.edit import KINDS, Known
from derive.claims.edits import edits
from derive.claims.line import read_line
from derive.claims.plain import plain
from derive.errors import GradcError, SourceError
from derive.language.parse import parse_expression
from derive.language.text import expression_text

MODELS = Path(__file__).resolve().parents[2] / "models"
NET = """\
model net
dims d = 4, h = 3, c = 2
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h]
param b1 : [h]
param W2 : [h, c]
param b2 : [c]
Z1 = X @ W1 + b1
A1 = relu(Z1)
Z2 = A1 @ W2 + b2
P = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
"""


def verdicts(text: str, *lines: str):
    return verify_formulas(derive.parse(text).program, lines)


def kinds(text: str, *lines: str) -> list[str | None]:
    found = verdicts(text, *lines)
    assert [v.status for v in found] == [REFUTED] * len(lines), list(map(str, found))
    return [v.kind for v in found]


def test_the_textbook_backward_pass_is_proved():
    lines = [
        "dZ2 = (P - Y) / n",
        "dW2 = A1' @ dZ2",
        "db2 = sum(dZ2, axis=0)",
        "dA1 = dZ2 @ W2'",
        "dZ1 = dA1 * (1 if Z1 > 0 else 0)",
        "dW1 = X' @ dZ1",
        "dW1[i,j] = sum[k] X[k,i] * dZ1[k,j]",
        "db1[j] = sum[k] dZ1[k,j]",
    ]
    assert [v.status for v in verdicts(NET, *lines)] == [PROVED] * len(lines)


def test_cotangents_and_definitions_are_unfolded_where_that_is_needed():
    by = [
        v.reason for v in verdicts(NET, "dW2 = A1' @ dZ2", "dW2 = A1' @ (P - Y)/n", "Z2 = relu(X @ W1 + b1) @ W2 + b2")
    ]
    assert len(set(by)) == 3
    assert "as given" in by[0]
    assert "unfolded" in by[1]
    assert "everything" in by[2]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("dZ2 = (Y - P) / n", "sign"),
        ("dZ2 = (P + Y) / n", "sign"),
        ("dZ2 = P - Y", "factor"),
        ("dW1 = X @ dZ1", "transpose"),
        ("dA1 = dZ2 @ W2", "transpose"),
        ("dW2[i,j] = sum[k] A1[k,i] * dZ2[j,k]", "transpose"),
        ("db1 = dZ1", "missing sum"),
        ("db1 = mean(dZ1, axis=0)", "factor"),
        ("dZ1 = dA1 * (0 if Z1 > 0 else 1)", "swapped case"),
        ("dZ1 = dA1 * (Z1 < 0)", "swapped case"),
        ("dZ1 = dA1", "missing factor"),
        ("dZ1 = dA1 * (Z1 >= 0)", "kink"),
        ("dW1 = X' @ dA1", "wrong operand"),
        ("dW2 = dZ2 @ A1", "order of a product"),
        ("dA1 = dZ2", "missing factor"),
        ("dA1 = dZ2 @ W2' @ W1", "extra factor"),
        ("dZ2 = (P - Y + P * Y) / n", "extra term"),
        ("dZ2 = P / n", "missing term"),
        ("dZ2 = sin(P - Y) / n", "extra function"),
    ],
)
def test_a_slip_is_named(line, kind):
    assert kinds(NET, line) == [kind]


def test_only_the_wrong_line_is_blamed():
    lines = ["dZ2 = Y - P", "dW2 = A1' @ dZ2", "dA1 = dZ2 @ W2'", "dZ1 = dA1 * (Z1 > 0)"]
    assert [v.status for v in verdicts(NET, *lines)] == [REFUTED, PROVED, PROVED, PROVED]


def test_a_factor_is_read_in_the_models_extents():
    model = "dims d, h\ninput X : [h, d]\nparam W : [h, d]\nminimize mean((W - X)^2)"
    (found,) = verdicts(model, "dW = 2 * (W - X) / h")
    assert found.kind == "factor"
    assert "1/d" in found.reason
    assert "1/2" in verdicts("param x\nminimize x^2 / 2", "dx = 2 * x")[0].reason


def test_a_choice_is_proved_without_what_is_behind_it():
    (found,) = verdicts(NET, "A1 = np.where(Z1 <= 0, 0, Z1)")
    assert (found.status, found.reason.split(",")[0]) == (PROVED, "by the normal form")


def test_a_definition_may_stand_at_0_along_an_axis_of_one():
    text = "dims d, h\nparam W : [d, h]\nQ = reshape(W, [d, 1, h])\nminimize sum(exp(Q))"
    (found,) = verdicts(text, "dQ[i,0,j] = A[i,0,j], with A[i,0,j] = exp(Q[i,0,j])")
    assert found.status == PROVED
    with pytest.raises(SourceError, match="letters in its brackets, or 0"):
        verdicts(text, "dQ[i,0,j] = A[i,1,j], with A[i,1,j] = exp(Q[i,0,j])")


def test_a_missing_assumption_is_named():
    (found,) = verdicts(NET.replace(" one_hot", ""), "dZ2 = (P - Y) / n")
    assert (found.kind, "simplex(1)" in found.reason) == ("missing assumption", True)
    quadratic = "dims n\nparam x : [n]\ninput A : [n, n]\nminimize x @ A @ x"
    (found,) = verdicts(quadratic, "dx = 2 * A @ x")
    assert (found.kind, "symmetric" in found.reason) == ("missing assumption", True)
    assert verdicts(quadratic, "dx = (A + A') @ x")[0].status == PROVED


def test_the_witness_is_the_entry_that_differs_most():
    (found,) = verdicts("dims n\nparam x : [n]\nminimize sum(x^3)", "dx = 3 * x^2 * (1 if x > 0 else 2)")
    assert found.witness is not None
    assert found.witness.given == pytest.approx(2 * found.witness.right)
    assert "dx[" in str(found.witness)


def test_shapes_are_shown_in_the_models_words():
    (found,) = verdicts(NET, "dW1 = dZ1")
    assert "dW1 is [d, h], the right side [n, h]" in found.reason


def test_rows_and_vectors_are_added_in_a_line_about_a_vector():
    model = "dims d\nbatch n\ninput A : [n, d]\ninput B : [n, d]\nparam w : [d]\nminimize sum((A @ w)^2)/2 + sum(B * w)"
    lines = ["dw = (A w)ᵀ A + 1ᵀ B", "dw = (A @ w)' @ A + sum(B, axis=0)", "dw = 1ᵀ B − (A w)ᵀ A", "dw = (A w)ᵀ A − w"]
    found = verdicts(model, *lines)
    assert [v.status for v in found] == [PROVED, PROVED, REFUTED, REFUTED]
    assert found[2].kind == "sign"


def test_a_name_of_gradc_means_what_the_line_says():
    model = "dims d\ninput x : [d]\nparam w : [d]\nq = exp(w) / sum(exp(w))\nminimize sum(q * x)"
    program = derive.parse(model).gradient().program
    assert {"E", "S"} <= {t.name for t in program.tensors if t.hidden}
    right = [
        "q = E / S, with E = exp(w), S = sum(E)",
        "q = S / E, with S = exp(w), E = sum(S)",
        "q = S / sum(S), with S = exp(w)",
    ]
    wrong = ["q = E / S, with E = exp(w), S = sum(w)", "q = E / S, with S = exp(w), E = sum(S)"]
    assert [v.status for v in verdicts(model, *right)] == [PROVED] * 3
    assert [v.status for v in verdicts(model, *wrong)] == [REFUTED] * 2


def test_a_proof_by_way_of_names_unfolds_nothing():
    model = derive.load(MODELS / "derivative_penalty.gc")
    lines = [str(f) for f in model.gradient().formulas]
    line = next(line for line in lines if line.startswith("dW1 = "))
    assert "with S_2 = x W1, S_4 = sigmoid(S_2), S = W2ᵀ S_4ᵀ, T = tanh(S)" in line
    *_, right, wrong = verify_formulas(model.program, [*lines, line, line.replace("T = tanh", "T = sin")])
    assert (right.status, "as given" in right.reason) == (PROVED, True)
    assert wrong.status == REFUTED


def test_a_jacobian_is_a_claim_too():
    lines = ["d(p, z)[i,j] = p[i] * (i == j) - p[i] * p[j]", "d(p, z) = diag(p) - p @ p'", "d(p, z) = diag(p) + p @ p'"]
    found = verdicts("dims k\nparam z : [k]\np = softmax(z)\noutput p", *lines)
    assert [v.status for v in found] == [PROVED, PROVED, REFUTED]
    assert found[2].kind == "sign"


def test_what_numbers_only_suggest_is_not_called_proved():
    (found,) = verdicts("param x\nminimize sin(x)^2", "dx = sin(2*x)")
    assert (found.status, found.ok) == (AGREES, True)


def test_functions_and_constants_of_the_model_are_known():
    model = "const a = 1/2\nfn f(x) = x^3\nparam x\ny = f(x)\nminimize a * y"
    assert [v.status for v in verdicts(model, "dx = 3*a*x^2", "y = f(x)", "dx = a * x^3 * 3 / x")] == [PROVED] * 3


@pytest.mark.parametrize("line", ["dZ9 = X", "dW1 = X' @@ dZ1", "dW1", "dW1 = foo(X)", "dW1[i,j] = X[i,j,k]"])
def test_what_is_no_formula_is_an_error(line):
    with pytest.raises(SourceError):
        verdicts(NET, line)


def test_cotangents_need_an_objective():
    with pytest.raises(GradcError, match="objective"):
        verdicts("param x\ny = x^2", "dy = 1")


def test_a_line_is_split_at_its_equals_sign():
    line = read_line("dW[i,j] = (X[i,j] == 1) * sum(Y, axis=0)[j]")
    assert expression_text(line.right) == "(X[i, j] == 1) * sum(Y, axis=0)[j]"
    assert line.name == "dW"


def test_edits_are_one_step_away_and_keep_the_rest():
    node = parse_expression("2 * A' @ (b - c)")
    texts = {expression_text(e.node) for e in edits(node, Known())}
    assert {"2 * A @ (b - c)", "2 * A' @ (b + c)", "A' @ (b - c)"} <= texts
    assert expression_text(node) not in texts
    assert {e.kind for e in edits(node, Known())} <= set(KINDS)


def test_the_same_question_has_the_same_answer():
    first, second = (verdicts(NET, "dZ2 = P - Y", "dW1 = X @ dZ1") for _ in range(2))
    assert list(map(str, first)) == list(map(str, second))
    assert np.isfinite(first[0].witness.right)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("dW = Xᵀ dZ", "dW = (X' @ dZ)"),
        ("dZ = dA ⊙ relu′(Z)", "dZ = dA * relu_prime(Z)"),
        ("dw = (2/n) Xᵀ (p − y)", "dw = ((2/n) * X' @ (p - y))"),
        ("dA = Wᵀ dS ⊙ (1 − A∘²)", "dA = (W' @ dS) * (1 - A^2)"),
        ("dZ[n,h] = dA[n,h] 1[Z[n,h] > 0]", "dZ[n,h] = (dA[n,h] * (Z[n,h] > 0))"),
        ("dW[d,h] = Σ_n X[n,d] dZ[n,h]", "dW[d,h] = sum[n] (X[n,d] * dZ[n,h])"),
        ("x = n⁻¹", "x = n^-1"),
        ("X = Y⁻¹ Z⁻ᵀ", "X = (inv(Y) @ inv(Z)')"),
        ("dZ = P ⊙ (Y 1 1ᵀ) − Y", "dZ = P * (col(sum(Y, axis=-1))) - Y"),
        ("Z = X W + 1ₙ bᵀ", "Z = (X @ W) + b'"),
        ("dq = (1/n) Σ_n (x[n] p[n])", "dq = (1/n) * sum[n] ((x[n] * p[n]))"),
        ("db = (1/n) Σ_n (p[n] − y[n])", "db = (1/n) * sum[n] (p[n] - y[n])"),
        ("dz[k] = 1[k = t] − Σ_k′ a[k′]", "dz[k] = (k == t) - sum[k_] a[k_]"),
        ("db = 1ᵀ dZ", "db = sum(dZ, axis=0)"),
        ("db = (1/n) 1ᵀ dZ + π 1ᵀ X", "db = ((1/n) * sum(dZ, axis=0)) + (pi * sum(X, axis=0))"),
        ("db = dZ 1ₙ", "db = sum(dZ, axis=-1)"),
        ("dz[i] = sum[j] (a[j] if i > j else -1) * b[j]", "dz[i] = sum[j] (a[j] if i > j else -1) * b[j]"),
    ],
)
def test_what_gradc_prints_is_read(written, text):
    assert plain(written, frozenset({"n"})) == text


def test_sums_over_literal_extents_are_written_out():
    model = "batch n\ninput X : [n, 1]\nparam b : [1]\nZ = X + b\nminimize sum(Z^2)"
    assert [v.status for v in verdicts(model, "db = sum(dZ)", "db = sum(2 * Z, axis=0)")] == [PROVED] * 2


def test_derivatives_of_functions_have_names():
    model = "dims k\ninput G : [k]\nparam z : [k]\na = elu(z)\nminimize sum(G * a)"
    assert [v.status for v in verdicts(model, "dz = G ⊙ elu′(z)", "dz = G * elu_prime(z)")] == [PROVED] * 2
    assert kinds(model, "dz = G ⊙ elu(z)") == ["wrong function"]


def test_what_is_nowhere_defined_is_refuted_without_a_witness():
    (found,) = verdicts("dims n\nparam x : [n]\nminimize sum(x^2)", "dx = log(-1 - x^2)")
    assert (found.status, found.kind, found.witness) == (REFUTED, "undefined", None)


def test_a_model_that_asks_for_positive_data_is_judged_where_it_has_values():
    model = "dims n\nparam x : [n]\nminimize sum(log(x))"
    assert [v.status for v in verdicts(model, "dx = 1 / x", "dx = -1 / x")] == [PROVED, REFUTED]
