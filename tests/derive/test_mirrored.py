"""A Hessian is printed as a sum that is its own transpose, and is the same matrix."""

from __future__ import annotations

import re

import numpy as np
import pytest

import derive
from derive.form_values import evaluate_form
from derive.mirrored import mirrored
from derive.program import reads

HEAD = "dims n\ninput A : [n, n]\ninput a : [n]\ninput x : [n]\n"
HESSIANS = [
    ("(a' @ x)^2 * (x' @ x)", "2 ‖x‖² a aᵀ + 4 (aᵀ x) a xᵀ + 4 (aᵀ x) x aᵀ + 2 (aᵀ x)² I"),
    ("(a' @ x) * (x' @ x)", "2 ((aᵀ x) I + a xᵀ + x aᵀ)"),
    ("exp(a' @ x) * (x' @ x)", "2 exp(aᵀ x) I + loss a aᵀ + 2 exp(aᵀ x) a xᵀ + 2 exp(aᵀ x) x aᵀ"),
    ("(x' @ A @ x) * (a' @ x)", "a xᵀ (A + Aᵀ) + (A + Aᵀ) x aᵀ + (aᵀ x) (A + Aᵀ)"),
    ("norm(x)^3", "3 (‖x‖ I + (1/‖x‖) x xᵀ)"),
]


@pytest.mark.parametrize(("objective", "printed"), HESSIANS)
def test_a_hessian_looks_symmetric(objective: str, printed: str) -> None:
    assert derive.parse(f"{HEAD}minimize {objective}").hessian("x").structure == f"∂dx/∂x = {printed}"


@pytest.mark.parametrize("objective", [o for o, _ in HESSIANS])
def test_it_is_the_same_matrix(objective: str) -> None:
    hessian = derive.parse(f"{HEAD}minimize {objective}").hessian("x")
    partial = hessian.partial
    equation = partial.equation.with_body(mirrored(partial.equation.body, *partial.equation.letters))
    rng = np.random.default_rng(0)
    values = {"A": rng.normal(size=(4, 4)), "a": rng.normal(size=4), "x": rng.normal(size=4)}
    known = hessian.evaluate(values)
    arrays = {t: (values | known)[t.name] for t in reads(equation.body)}
    found = evaluate_form(partial.notation.form(equation), equation.letters, arrays, {"n": 4})
    np.testing.assert_allclose(found, known["result"], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found, found.T, rtol=1e-11, atol=1e-12)


def test_what_is_a_diagonal_less_an_outer_product_stays_so() -> None:
    structure = derive.parse(f"{HEAD}minimize sum(softmax(x)^2)").hessian("x").structure or ""
    assert "2 diag(softmax(x) ⊙ (2 softmax(x) − loss))" in structure


def test_a_jacobian_that_is_no_hessian_is_left_alone() -> None:
    model = derive.parse(f"{HEAD}Y = (a' @ x) * x + (x' @ x) * a")
    assert model.jacobian("Y", "x").structure == "∂Y/∂x = (aᵀ x) I + x aᵀ + 2 a xᵀ"


@pytest.mark.parametrize(
    ("objective", "printed"),
    [
        ("norm(x - a)", "(I − dx dxᵀ)/loss"),  # without masks: what is said of x = a is said in a note
        ("max(x)", "0"),
        ("(a' @ x) / (x' @ x)", None),
        ("sum(sqrt((A @ x - a)^2 + 1))", "Aᵀ diag((1 − dS∘²) ⊘ s) A"),
        ("sum(gelu(x))", "(√2/√π) diag((1 − x∘²/2) ⊙ exp(−x∘²/2))"),
    ],
)
def test_every_name_that_a_hessian_is_written_in_is_the_users_or_explained(objective: str, printed: str | None) -> None:
    model = derive.parse(f"{HEAD}minimize {objective}")
    hessian = model.hessian("x")
    if printed is not None:
        assert hessian.structure == f"∂dx/∂x = {printed}"
    names = hessian.partial.notation.names
    explained = {names[e.out] for e in hessian.partial.explained}
    known = {t.name for t in (*model.program.declared, *model.program.tensors)} | explained
    for line in (hessian.structure or "", *map(hessian.partial.notation.formula, hessian.partial.explained)):
        said = set(re.findall(r"[A-Za-z][A-Za-z0-9_]*", line.partition(" = ")[2])) - {"diag", "exp", "I"}
        assert said <= known, line
