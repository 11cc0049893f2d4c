"""Gradients of plain expressions are one formula, as short as a textbook has it."""

from __future__ import annotations

import pytest

import derive
from derive.claims.verify import PROVED, verify_formulas
from derive.display import is_plain

HEAD = """dims m, n, k
input A : [n, n]
input B : [n, n]
input S : [n, n] symmetric
input Q : [n, n] orthogonal
input C : [m, n]
input b : [m]
input x : [n]
input X : [n, k]
"""
CASES = [
    ("x' @ A @ x", "x", "dx = (A + Aᵀ) x"),
    ("x' @ S @ x", "x", "dx = 2 S x"),
    ("sum((C @ x - b)^2)", "C", "dC = 2 (C x − b) xᵀ"),
    ("sum((C @ x - b)^2)", "x", "dx = 2 Cᵀ (C x − b)"),
    ("sum((S - X @ X')^2)", "X", "dX = 4 (X Xᵀ − S) X"),
    ("trace(X' @ A @ X @ X' @ X)", "X", None),
    ("(C @ x + b)' @ (C @ A @ x + b)", "x", "dx = Cᵀ (C A x + b) + Aᵀ Cᵀ (C x + b)"),
    ("(x' @ A @ x) * (x' @ B @ x)", "x", "dx = (xᵀ A x) (B + Bᵀ) x + (xᵀ B x) (A + Aᵀ) x"),
    ("sum((Q @ x)^2)", "x", "dx = 2 x"),
    ("sqrt(sum(X^2))", "X", "dX = X/‖X‖_F"),
]


@pytest.mark.parametrize(("expression", "by", "expected"), CASES)
def test_gradient_is_one_formula(expression: str, by: str, expected: str | None) -> None:
    model = derive.parse(f"{HEAD}minimize {expression}\n")
    assert is_plain(model.program)
    gradient = model.gradient(by)
    text = str(gradient)
    assert "with" not in text
    assert len(gradient.formulas) == 1
    if expected is not None:
        assert text == expected
    if "Q" not in expression:
        assert verify_formulas(model.program, [text])[0].status == PROVED


def test_what_the_user_named_stays() -> None:
    model = derive.parse(f"{HEAD}r = C @ x - b\nminimize r' @ r\n")
    assert not is_plain(model.program)
    assert str(model.gradient("x")) == "dx = 2 Cᵀ r"


def test_polynomials_are_products() -> None:
    """What SymPy factors is printed so, where it takes fewer operations."""
    head = "dims n, d\ninput X : [n, d]\ninput y : [n]\nparam w : [d]\n"
    squares = derive.parse(f"{head}minimize sum((y - sigmoid(X @ w))^2)\n").gradient("w")
    assert str(squares["w"]) == "dw = 2 Xᵀ (sigmoid(X w) ⊙ (1 − sigmoid(X w)) ⊙ (sigmoid(X w) − y))"


def test_jacobians_without_names_of_gradcs() -> None:
    """What is shown by itself reads only what the model names."""
    of_norm = derive.parse("dims n\ninput a : [n]\ninput x : [n]\nY = (x - a)/norm(x - a)\n").jacobian("Y", "x")
    assert of_norm.structure == "∂Y/∂x = (I − Y Yᵀ)/‖x − a‖"
    columns = derive.parse("dims m, n\ninput X : [m, n]\nY = vec(X)\n").jacobian("Y", "X")
    assert columns.element == "∂Y_i/∂X_jk = [i = m k + j − m]"
