"""Functions of the catalogue that are written out: known again where their derivatives are short."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.claims.verify import PROVED, verify_formulas
from derive.evaluate import evaluate
from derive.recognize import reciprocals

HEAD = "dims n, d\ninput X : [n, d]\ninput y : [n]\nparam w : [d]\n"
SIGMOID = "1/(1 + exp(-z))", "exp(z)/(1 + exp(z))", "1/(exp(-z) + 1)", "exp(z)/(exp(z) + 1)", "1/(1 + 1/exp(z))"


@pytest.mark.parametrize("text", SIGMOID)
def test_written_out(text: str) -> None:
    """However it is written, its derivative is that of σ."""
    model = derive.parse(f"{HEAD}z = X @ w\np = {text}\nminimize sum(y*p)\n")
    assert model.gradient()["w"].steps() is not None
    assert "dz = y ⊙ p ⊙ (1 − p)" in str(model.gradient())


@pytest.mark.parametrize(
    ("objective", "printed"),
    [
        ("sum(1/(1 + exp(-w)))", "sigmoid(w) ⊙ (1 − sigmoid(w))"),
        ("sum(w/(1 + exp(-w)))", "sigmoid(w) ⊙ (w ⊙ (1 − sigmoid(w)) + 1)"),
        ("sum(log(1 + exp(w)))", "sigmoid(w)"),
        ("sum(log(1 + exp(X @ w))) - y' @ X @ w", "Xᵀ (sigmoid(X w) − y)"),
        ("-sum(y*log(1/(1 + exp(-X @ w))) + (1 - y)*log(1 - 1/(1 + exp(-X @ w))))", "Xᵀ (sigmoid(X w) − y)"),
        ("sum(1/(2 + exp(-w)))", "exp(−w) ⊘ (exp(−w) + 2)∘²"),
    ],
)
def test_printed(objective: str, printed: str) -> None:
    """Where no name of the model's is in between; what is no function of the catalogue stays."""
    assert str(derive.parse(f"{HEAD}minimize {objective}\n").gradient("w")["w"]) == f"dw = {printed}"


def test_hessian() -> None:
    """σ(1 − σ) in the place of the kernels that gradc names."""
    model = derive.parse(f"{HEAD}z = X @ w\nminimize sum(log(1 + exp(z)) - y*z)\n")
    assert "dz = sigmoid(z) − y" in str(model.gradient())
    assert model.hessian("w").structure == "∂dw/∂w = Xᵀ diag(sigmoid(z) ⊙ (1 − sigmoid(z))) X"


def test_proved_and_equal() -> None:
    """What is printed is proved, and code's program agrees with the definition."""
    text = f"{HEAD}z = X @ w\np = 1/(1 + exp(-z))\nL = sum((y - p)^2) + sum(log(1 + exp(z)))\nminimize L\n"
    gradient = derive.parse(text).gradient()
    lines = [line for f in gradient.formulas for line in (f.matrix, f.index) if line is not None and "E" not in line]
    assert lines
    assert {v.status for v in verify_formulas(derive.parse(text).program, lines)} == {PROVED}
    other = text.replace("1/(1 + exp(-z))", "sigmoid(z)")
    rng = np.random.default_rng(0)
    point = {"X": rng.normal(size=(5, 3)), "y": rng.normal(size=5), "w": rng.normal(size=3)}
    found = [evaluate(derive.parse(t).gradient().derivation.stable, point)["dw"] for t in (text, other)]
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_own_function_of_that_name() -> None:
    """A function of one's own is not taken for the catalogue's, nor printed in its place."""
    text = f"fn sigmoid(t) = t/2\n{HEAD}minimize sum(sigmoid(w)/(1 + exp(-w)))\n"
    assert "exp" in str(derive.parse(text).gradient("w"))


def test_generated_from_declarations() -> None:
    """The functions sought are those of the catalogue that are declared as a reciprocal."""
    assert [f.name for f in reciprocals()] == ["sigmoid"]
