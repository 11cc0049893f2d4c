"""Masks that make no difference: dropped where the value is 0 anyway and finite, kept everywhere else."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.expr import Compare, compare, mul, power
from derive.normal import Normalizer
from derive.program import Tensor
from derive.rewrite import walk
from derive.vanishing import Signs


def gradient(objective: str, declared: str = "input x : [n]\ninput y : [n]\n") -> derive.Gradient:
    return derive.parse(f"dims n\n{declared}minimize {objective}\n").gradient("x")


def masks(g: derive.Gradient) -> int:
    return sum(isinstance(n, Compare) for n in walk(g["x"].equation.body))


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        ("norm(x)^2", "2 x"),
        ("norm(x - y)^2", "2 (x − y)"),
        ("norm(x)^4", "4 ‖x‖² x"),
        ("sum(y * x^2 if x != 0 else 0)", "2 (x ⊙ y)"),
        ("sum(max(0, x)^2)", "2 max(0, x)"),
        ("sum(min(0, x)^2)", "2 min(0, x)"),
        ("sum(abs(x - y))", "sign(x − y)"),
        ("sum(abs(x))", "sign(x)"),
    ],
)
def test_what_makes_no_difference_is_gone(objective, shown):
    assert str(gradient(objective)["x"]) == f"dx = {shown}"


@pytest.mark.parametrize("objective", ["norm(x)", "norm(x - y)", "sum(x * log(x^2) if x != 0 else 0)", "sum(relu(x))"])
def test_a_kink_keeps_its_mask(objective):
    """0 times what is not finite is no number: there the mask is what makes the declared value."""
    assert masks(gradient(objective)) > 0


@pytest.mark.parametrize("objective", ["norm(x)^2", "norm(x)", "sum(max(0, x)^2)", "sum(abs(x))", "norm(x)^2 * sum(x)"])
def test_the_value_at_the_kink_is_the_declared_one(objective, numeric):
    derivation = gradient(objective).derivation
    point = {"x": np.zeros(3), "y": np.ones(3)}
    simple, raw = (numeric.gradients(p, point)["x"] for p in (derivation.formulas, derivation.raw))
    np.testing.assert_array_equal(simple, np.zeros(3))
    np.testing.assert_array_equal(raw, simple)


def test_of_masks_only_those_on_the_factor_go():
    x, y = (Tensor(n, (), kind="input").at(()) for n in "xy")
    normal = Normalizer()
    assert normal(mul(compare("!=", x, 0), x)) == x
    assert normal(mul(compare("<=", 0, x), x)) == normal(mul(compare("<", 0, x), x))
    assert normal(mul(compare("!=", y, 0), x)) != x
    assert normal(mul(compare("!=", x, 0), x, power(y, -1))) != mul(x, power(y, -1))  # y may vanish there, too


def test_what_is_finite_and_what_is_positive():
    x = Tensor("x", (), kind="input").at(())
    c = Tensor("dx", (), "cotangent").at(())
    signs = Signs({})
    assert signs.is_finite(x**2)
    assert not signs.is_finite(1 / x)
    assert not signs.is_finite(c)
    assert signs.is_finite(1 / (1 + x**2))
    assert signs.is_positive(1 + x**2)
    assert not signs.is_positive(x**2)
