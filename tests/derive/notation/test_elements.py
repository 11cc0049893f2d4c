"""Elements of what has a name as a whole, softmax(x)_i and (X⁻¹)_ij; written out their places count from 1."""

from __future__ import annotations

import re

import numpy as np
import pytest

import derive
from derive.claims.line import scalars_of
from derive.claims.plain import plain
from derive.expr import Reduce
from derive.notation.elements import Element, with_elements
from derive.rewrite import walk

DIMS = "dims m, n\ninput A : [m, n]\ninput b : [m]\ninput t : [n]\n"
HESSIANS = [
    ("param x : [n]", "log(sum(exp(x)))", "∂dx_i/∂x_j = ([i = j] − softmax(x)_i) softmax(x)_j"),
    ("param x : [n]", "-sum(t * log(softmax(x)))", "∂dx_i/∂x_j = ([i = j] − softmax(x)_i) softmax(x)_j Σ_k t_k"),
    (
        "param x : [n]",
        "log(sum(exp(A @ x + b)))",
        "∂dx_i/∂x_j = Σ_k A_ki A_kj softmax(A x + b)_k − (Σ_k A_ki softmax(A x + b)_k) Σ_k A_kj softmax(A x + b)_k",
    ),
    (
        "param X : [m, n]",
        "sum(log(sum(exp(X), axis=1)))",
        "∂dX_ij/∂X_kl = [i = k] softmax(X, axis=1)_il ([j = l] − softmax(X, axis=1)_ij)",
    ),
]


@pytest.mark.parametrize(("variable", "objective", "expected"), HESSIANS)
def test_the_element_of_a_hessian(variable: str, objective: str, expected: str) -> None:
    hessian = derive.parse(f"{DIMS}{variable}\nminimize {objective}").hessian(variable[6])
    assert hessian.element == expected


@pytest.mark.parametrize(("variable", "objective", "expected"), HESSIANS)
def test_its_index_notation_is_read_back(variable: str, objective: str, expected: str) -> None:
    model = derive.parse(f"{DIMS}{variable}\nminimize {objective}")
    hessian = model.hessian(variable[6])
    left, _, right = plain(hessian.index, scalars_of(model.program)).partition(" = ")
    assert "softmax" in right
    letters = left.removeprefix("result[").removesuffix("]").split(",")
    right = re.sub(r"\b[kmn]_*\b", r"\g<0>0", right)  # in a condition m is the extent, not the letter
    line = f"result[{', '.join(f'{a}0:{axis}' for a, axis in zip(letters, hessian.shape, strict=True))}] = {right}"
    again = derive.parse(f"{DIMS}{variable}\n{line}")
    sizes, rng = {"m": 4, "n": 3}, np.random.default_rng(0)
    values = {t.name: rng.normal(size=[sizes[str(a)] for a in t.axes]) for t in model.program.declared}
    np.testing.assert_allclose(again.evaluate(values)["result"], hessian.result(values), rtol=1e-10, atol=1e-12)


def test_the_third_derivative() -> None:
    third = derive.parse(f"{DIMS}param x : [n]\nminimize log(sum(exp(x)))").hessian("x").jacobian("result", "x")
    assert "exp" not in third.element
    assert third.index.count("softmax(x)[") == third.index.count("softmax")


def test_written_out_the_places_are_numbers() -> None:
    model = derive.parse(f"{DIMS}param x : [n]\nminimize log(sum(exp(x)))")
    text = str(model.hessian("x").expanded(size={"n": 2}))
    for entry in ("softmax(x)_1 (1 − softmax(x)_1)", "−softmax(x)_1 softmax(x)_2"):
        assert entry in text
    assert r"\operatorname{softmax}\left(x\right)_{1}" in model.hessian("x").expanded().latex()


def test_elements_of_an_inverse_count_from_1_too() -> None:
    hessian = derive.parse("dims n\nparam X : [n, n]\nminimize logdet(X)").hessian("X")
    assert hessian.element == "∂dX_ij/∂X_kl = −(X⁻¹)_li (X⁻¹)_jk"
    text = str(hessian.expanded(size={"n": 2}, at=(1, None, None, 2)))
    assert "−(X⁻¹)_11 (X⁻¹)_21" in text
    assert "−(X⁻¹)_22 (X⁻¹)_21" in text


def test_what_has_no_matrix_form_stays_a_quotient() -> None:
    model = derive.parse("dims a, b, c\nparam X : [a, b, c]\nminimize sum[i,j] log(sum[k] exp(X[i,j,k]))")
    (found,) = model.gradient().formulas
    assert "softmax" not in found.index
    assert not any(isinstance(n, Element) for n in walk(with_elements(found.equation.body)))
    assert any(isinstance(n, Reduce) for n in walk(found.equation.body))
