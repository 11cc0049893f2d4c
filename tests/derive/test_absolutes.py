"""Products with signs: printed with |x|, and with what the definition says at 0."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.functions import ABS, SIGN
from derive.language.vocabulary import Vocabulary

HEAD = "dims n\ninput a : [n]\nparam g\nparam x : [n]\n"
SHORT = (
    ("sum(abs(x)*x)", "2 abs(x)"),
    ("sum(abs(x)^2)", "2 x"),
    ("sum(abs(x)^3)", "3 (x ⊙ abs(x))"),
    ("sum(abs(x)) + sum(x^2)", "sign(x) + 2 x"),
    ("sum(abs(x)^4)", "4 x∘³"),
    ("sum(abs(x - a)^3)", "3 (abs(x − a) ⊙ (x − a))"),
    ("sum(x/(1 + abs(x)))", "1 ⊘ (abs(x) + 1)∘²"),
    ("sum(log(1 + abs(x)))", "sign(x) ⊘ (abs(x) + 1)"),
    ("sum(abs(x))/3 + sum(x^2)/5", "sign(x)/3 + (2/5) x"),
    ("g*sum(abs(x)) + sum(x^2)", "2 x + g sign(x)"),
    ("sum(sqrt(abs(x)))", "(sign(x) ⊘ √abs(x))/2"),
)


@pytest.mark.parametrize(("objective", "printed"), SHORT)
def test_printed(objective: str, printed: str) -> None:
    """As short as it can be said; signs that nothing is known of stay."""
    assert str(derive.parse(f"{HEAD}minimize {objective}\n").gradient("x")["x"]) == f"dx = {printed}"


@pytest.mark.parametrize("objective", [o for o, _ in SHORT if "sqrt" not in o])
def test_equal(objective: str) -> None:
    """By number, at 0 too, the same as the chain rule's own answer."""
    derivation = derive.parse(f"{HEAD}minimize {objective}\n").gradient("x").derivation
    point = {"x": np.array([-2.0, -0.5, 0.0, 1.0, 3.0]), "a": np.array([1.0, -0.5, 0.0, 2.0, 3.0]), "g": np.array(0.7)}
    raw, short, stable = (evaluate(p, point)["dx"] for p in (derivation.raw, derivation.formulas, derivation.stable))
    np.testing.assert_allclose(short, raw, rtol=1e-12)
    np.testing.assert_allclose(stable, raw, rtol=1e-12)


def test_is_the_catalogue_s() -> None:
    """What is put in is the function of the language, and sign that of simplification."""
    found = Vocabulary().find("abs")
    assert found is not None
    assert found.function == ABS
    assert SIGN.name == "sign"
