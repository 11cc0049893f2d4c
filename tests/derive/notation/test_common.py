"""A number that all terms share is written once; the form's value stays."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.form_values import evaluate_form
from derive.notation import Notation

DIMS = "dims d = 5, k = 3\nbatch n\ninput x : [d]\ninput y : [d]\ninput A : [d, k]\ninput B : [k, d]\ninput s\n"


def of(numeric, text):
    program = derive.parse(text).program
    return program, Notation(program), numeric.draw(program)


def printed(numeric, text):
    """The last equation in matrix form, which has the equation's value."""
    program, notation, values = of(numeric, text)
    equation, known = program.equations[-1], evaluate(program, values)
    by_tensor = {t: known[t.name] for t in program.tensors}
    value = evaluate_form(notation.form(equation), equation.letters, by_tensor, {"d": 5, "k": 3, "n": 7})
    np.testing.assert_allclose(value, known["R"], rtol=1e-13)
    return notation.matrix(equation)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("2*x - 2*y", "2 (x − y)"),
        ("x/2 + y/2 + 1/2", "(1 + x + y)/2"),
        ("-2*x - 2*y", "−2 (x + y)"),
        ("3*A + 3*B'", "3 (A + Bᵀ)"),
        ("x*y/2 - sin(x)/2", "(x ⊙ y − sin(x))/2"),
        ("2*x/3 + 2*y*s/3", "(2 (s y + x))/3"),
        ("2*x + 4*y", "2 x + 4 y"),
        ("x + y", "x + y"),
        ("exp(2*x - 2*y)", "exp(2 (x − y))"),
        ("2*A@B@x - 2*x", "2 (A B x − x)"),
    ],
)
def test_sums(numeric, body, text):
    found = printed(numeric, f"{DIMS}R = {body}\n")
    assert sorted(found.removeprefix("R = ")) == sorted(text)  # terms may stand in any order


@pytest.mark.parametrize("function", ["gelu", "leaky_relu", "hard_sigmoid", "elu", "softsign", "mish"])
def test_derived_formulas_keep_their_values(numeric, function):
    text = f"{DIMS.replace('input x', 'param x')}minimize sum({function}(x - y)^2) / 2 + sum((2*x - y)^2)\n"
    gradient = derive.parse(text).gradient()
    known = evaluate(gradient.program, numeric.draw(gradient.program))
    by_tensor = {t: known[t.name] for t in gradient.program.tensors}
    for formula in gradient.formulas:
        form = gradient.notation.form(formula.equation)
        value = evaluate_form(form, formula.equation.letters, by_tensor, {"d": 5, "k": 3, "n": 7})
        np.testing.assert_allclose(value, known[formula.name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("sum((x - y)^2) / (2*s^2)", "‖x − y‖²/(2 s²)"),
        ("exp(-sum((x - y)^2) / (2*s^2))", "exp(−‖x − y‖²/(2 s²))"),
        ("sum(sin(x)) / 2", "Σ(sin(x))/2"),
        ("sum((x - y)^2) / (2*d)", "(1/(2 d)) ‖x − y‖²"),  # a mean
        ("x @ C @ y / 2", "(1/2) xᵀ C y"),
        ("x @ C @ C' @ x", "‖Cᵀ x‖²"),
        ("x @ C @ C @ x", "xᵀ C² x"),
        ("x @ A @ B @ B' @ A' @ x - 1", "‖Bᵀ Aᵀ x‖² − 1"),
    ],
)
def test_numbers(numeric, body, text):
    """A divisor stands beneath what it divides, in front a product's and a mean's; a number aᵀ a is ‖a‖²."""
    assert printed(numeric, f"{DIMS}input C : [d, d]\nR = {body}\n") == f"R = {text}"


def test_what_numbers_and_constants_multiply_stands_last():
    text = "dims d\nconst c = 0.3\nparam w : [d]\nR = (1 - c) * w + (1 - c) * w - pi * w * c"
    program = derive.parse(text).program
    assert Notation(program).matrix(program.equations[-1]) == "R = 2 (1 − c) w − π c w"
    assert Notation(program).index(program.equations[-1]) == "R[d] = 2 (1 − c) w[d] − π c w[d]"


@pytest.mark.parametrize(
    ("objective", "text", "latex"),
    [
        ("trace(X @ X @ X)", "dX = 3 (Xᵀ)²", r"\bar{X} = 3\,{\left(X^{\top}\right)}^{2}"),
        ("trace(X @ X @ A)", "dX = (A X + X A)ᵀ", None),
        ("a' @ inv(X) @ inv(X) @ a", "dX = −X⁻ᵀ (a aᵀ X⁻ᵀ + X⁻ᵀ a aᵀ) X⁻ᵀ", None),
        ("sum((A @ A @ X)^2) / 2", "dX = (Aᵀ)² A² X", None),
        ("trace(inv(A) @ inv(A) @ inv(A) @ X)", "dX = (A⁻ᵀ)³", None),
    ],
)
def test_a_square_matrix_times_itself_is_a_power(objective, text, latex):
    model = derive.parse(f"dims d\ninput a : [d]\ninput A : [d, d]\nparam X : [d, d]\nminimize {objective}")
    gradient = model.gradient("X")
    assert str(gradient["X"]).splitlines()[0] == text
    assert latex is None or gradient["X"].latex() == latex
