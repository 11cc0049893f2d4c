"""Products with signs: printed with |x|, and with what the definition says at 0."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.claims.verify import PROVED, verify_formulas
from derive.evaluate import evaluate
from derive.functions import ABS, SIGN
from derive.language.vocabulary import Vocabulary
from derive.notation import Notation

HEAD = "dims n\ninput a : [n]\nparam g\nparam x : [n]\n"
SHORT = (
    ("sum(abs(x)*x)", "2 |x|"),
    ("sum(abs(x)^2)", "2 x"),
    ("sum(abs(x)^3)", "3 (x ⊙ |x|)"),
    ("sum(abs(x)) + sum(x^2)", "sign(x) + 2 x"),
    ("sum(abs(x)^4)", "4 x∘³"),
    ("sum(abs(x - a)^3)", "3 ((x − a) ⊙ |x − a|)"),
    ("sum(x/(1 + abs(x)))", "1 ⊘ (|x| + 1)∘²"),
    ("sum(log(1 + abs(x)))", "sign(x) ⊘ (|x| + 1)"),
    ("sum(abs(x))/3 + sum(x^2)/5", "sign(x)/3 + (2/5) x"),
    ("g*sum(abs(x)) + sum(x^2)", "2 x + g sign(x)"),
    ("sum(sqrt(abs(x)))", "(sign(x) ⊘ √|x|)/2"),
)


@pytest.mark.parametrize(("objective", "printed"), SHORT)
def test_printed(objective: str, printed: str) -> None:
    """As short as it can be said; signs that nothing is known of stay."""
    assert str(derive.parse(f"{HEAD}minimize {objective}\n").gradient("x")["x"]) == f"dx = {printed}"


@pytest.mark.parametrize("objective", [o for o, _ in SHORT])
def test_bars_are_read_back(objective: str) -> None:
    model = derive.parse(f"{HEAD}minimize {objective}\n")
    found = model.gradient("x")["x"]
    lines = [str(found), found.index]
    assert [str(v) for v in verify_formulas(model.program, lines) if v.status != PROVED] == []


def test_bars_in_latex_and_one_in_another() -> None:
    model = derive.parse(f"{HEAD}y = abs(x)\nz = abs(x - abs(a))\nminimize sum(y * x) + sum(z)\n")
    notation = Notation(model.program)
    y, z = (e for e in model.program.equations if e.out.name in "yz")
    assert notation.latex(y) == r"y = \left|x\right|"
    assert notation.latex(z) == r"z = \left|x - \left|a\right|\right|"
    assert notation.matrix(z) == "z = abs(x − |a|)"


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
