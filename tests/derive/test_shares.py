"""Shares of a total are called by the catalogue's name, softmax, and read back as what they are."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive import lift
from derive.claims.verify import PROVED, verify_formulas
from derive.evaluate import evaluate_expr
from derive.form_values import evaluate_form
from derive.program import reads
from derive.shares import declared

ROWS = "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c] one_hot\nparam W : [d, c]\n"
COLUMNS = "dims d, c\nbatch n\ninput X : [d, n]\nparam W : [c, d]\n"
VECTOR = "dims d\ninput a : [d]\nparam x : [d]\n"
CASES = [
    (ROWS + "minimize cross_entropy(Y, softmax(X @ W, axis=1))", "dW = (1/n) Xᵀ (softmax(X W, axis=1) − Y)"),
    (COLUMNS + "minimize sum(log(sum(exp(W @ X), axis=0))) - sum(W)", "dW = softmax(W X, axis=0) Xᵀ − 1"),
    (VECTOR + "minimize log(sum(exp(x)))", "dx = softmax(x)"),
    (VECTOR + "minimize log(sum(exp(x - a)))", "dx = softmax(x − a)"),
    (VECTOR + "minimize sum(softmax(x) * a)", "dx = softmax(x) ⊙ (a − aᵀ softmax(x))"),
    (VECTOR + "minimize sum(softmax(x)^2)", "dx = 2 (softmax(x) ⊙ (softmax(x) − ‖softmax(x)‖²))"),
    (VECTOR + "minimize sum(exp(x)^2) / sum(exp(x))^2", "dx = 2 (softmax(x) ⊙ (softmax(x) − ‖softmax(x)‖²))"),
    (
        VECTOR + "minimize sum(softmax(x) * log(softmax(x)))",
        "dx = softmax(x) ⊙ (log(softmax(x)) − log(softmax(x))ᵀ softmax(x))",
    ),
    (VECTOR + "minimize log(sum(a * softmax(x)))", "dx = softmax(x) ⊙ (a/(aᵀ softmax(x)) − 1)"),
    (VECTOR + "minimize sum(softmax(x) * softmax(a))", "dx = softmax(x) ⊙ (softmax(a) − softmax(a)ᵀ softmax(x))"),
    (
        ROWS + "minimize sum(Y * softmax(X @ W, axis=1))",
        "dW = Xᵀ (softmax(X W, axis=1) ⊙ (Y − (Y ⊙ softmax(X W, axis=1)) 1 1ᵀ))",
    ),
]


def test_names_come_from_the_catalogue() -> None:
    assert declared() == {"exp": "softmax"}


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_gradient_in_the_textbooks_form(text: str, expected: str) -> None:
    (found,) = derive.parse(text).gradient().formulas
    assert found.matrix == expected


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_every_notation_is_read_back(text: str) -> None:
    model = derive.parse(text)
    (found,) = model.gradient().formulas
    python = found.notation.formula(found.equation, "python").removeprefix("# ")
    lines = [found.matrix or "", found.index, python]
    assert [str(v) for v in verify_formulas(model.program, lines) if v.status != PROVED] == []


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_the_form_has_the_value_of_the_equation(text: str) -> None:
    model = derive.parse(text)
    (found,) = model.gradient().formulas
    rng, sizes = np.random.default_rng(0), {"n": 5, "d": 3, "c": 2}
    values = {t.name: rng.normal(size=[sizes[str(a)] for a in t.axes]) for t in model.program.declared}
    form = lift.lift(found.equation)
    assert form is not None
    assert "Share" in repr(form)
    arrays = {t: values[t.name] for t in model.program.declared}
    expected = evaluate_expr(found.equation.body, found.equation.letters, arrays, sizes)
    np.testing.assert_allclose(evaluate_form(form, found.equation.letters, arrays, sizes), expected, rtol=1e-12)


HESSIANS = [
    ("log(sum(exp(x)))", "∂dx/∂x = diag(softmax(x)) − softmax(x) softmax(x)ᵀ"),
    ("log(b' @ exp(A @ x))", "∂dx/∂x = (1/(bᵀ exp(A x))) Aᵀ diag(b ⊙ exp(A x)) A − dx dxᵀ"),
    ("log(sum(exp(A @ x)))", "∂dx/∂x = Aᵀ (diag(softmax(A x)) − softmax(A x) softmax(A x)ᵀ) A"),
    (
        "sum(softmax(x)^2)",
        "∂dx/∂x = 2 diag(softmax(x) ⊙ (2 softmax(x) − loss)) + 6 loss softmax(x) softmax(x)ᵀ"
        " − 4 softmax(x)∘² softmax(x)ᵀ − 4 softmax(x) (softmax(x)∘²)ᵀ",
    ),
]


@pytest.mark.parametrize(("text", "expected"), HESSIANS)
def test_a_hessian_in_the_textbooks_form(text: str, expected: str) -> None:
    model = derive.parse(f"dims n, d\ninput A : [n, d]\ninput x : [d]\ninput b : [n] positive\nminimize {text}\n")
    hessian = model.hessian("x")
    assert hessian.structure == expected
    equation = hessian.partial.equation
    form = hessian.formula.notation.form(equation)
    rng = np.random.default_rng(0)
    sizes = {"n": 5, "d": 3}
    values = {t.name: rng.uniform(0.5, 1.5, size=[sizes[str(a)] for a in t.axes]) for t in model.program.declared}
    known = hessian.evaluate(values)
    found = evaluate_form(form, equation.letters, {t: (values | known)[t.name] for t in reads(equation.body)}, sizes)
    true = known["result"]
    np.testing.assert_allclose(found, true, rtol=1e-10, atol=1e-12)


def test_the_jacobian_of_a_softmax_of_a_product() -> None:
    model = derive.parse("dims n, d\ninput A : [n, d]\nparam x : [d]\ny = softmax(A @ x)\nminimize sum(y^2)")
    assert model.jacobian("y", "x").structure == "∂y/∂x = (diag(y) − y yᵀ) A"


def test_a_total_that_stays_is_none_of_a_share() -> None:
    (found,) = derive.parse(VECTOR + "minimize sum(exp(x)) + log(sum(exp(x)))").gradient().formulas
    assert found.matrix == "dx = (1 + 1/Σ(exp(x))) exp(x)"


def test_the_latex_names_it() -> None:
    (found,) = derive.parse(VECTOR + "minimize log(sum(exp(x)))").gradient().formulas
    assert found.latex() == r"\bar{x} = \operatorname{softmax}\left(x\right)"


def test_what_is_divided_by_another_total_is_none() -> None:
    (found,) = derive.parse(VECTOR + "minimize sum(a * exp(x)) / sum(exp(a))").gradient().formulas
    assert "softmax" not in (found.matrix or "")
