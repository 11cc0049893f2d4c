"""norm′(0) = 0: printed x/‖x‖ with a note, read back as that, computed as 0."""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from codegen.article import article
from codegen.sheets import formulas_of, latex_of, remarks, sheet
from derive.claims.verify import AGREES, PROVED, REFUTED, verify_formulas
from derive.evaluate import evaluate
from derive.norms import Norms
from derive.notation import to_json

NORM = "dims n\ninput a : [n]\nparam x : [n]\nminimize norm(x - a)\n"
NAMED = "dims n\nbatch m\ninput A : [m, n]\nparam x : [n]\nb = A @ x\nN = norm(b)\nL = N + N^3\nminimize L\n"
UNMASKED = "dims n\ninput a : [n]\nparam x : [n]\nminimize sqrt(sum((x - a)^2))\n"


def test_all_notations() -> None:
    """No notation has the mask."""
    f = derive.parse(NORM).gradient()["x"]
    assert f.matrix == "dx = (x − a)/‖x − a‖"
    assert f.index == "dx[n] = (x[n] − a[n])/√(Σ_n′ (x[n′] − a[n′])²)"
    assert f.latex() == r"\bar{x} = \frac{x - a}{\left\lVert x - a\right\rVert}"
    assert f.notation.formula(f.equation, "python") == "dx = (x - a) / np.sum((x - a) ** 2) ** (1 / 2)"
    assert "!=" in repr(f.equation.body)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("norm(x)", "x/‖x‖"),
        ("g * norm(x)", "(g/‖x‖) x"),
        ("norm(x) + g * norm(x)^2", "(1/‖x‖ + 2 g) x"),
        ("norm(x) * norm(y)", "(‖y‖/‖x‖) x"),
        ("norm(y) / norm(x)", "−(‖y‖/‖x‖³) x"),
        ("exp(-norm(x))", "−(exp(−‖x‖)/‖x‖) x"),
        ("norm(x)^2", "2 x"),
    ],
)
def test_printed(text: str, printed: str) -> None:
    """Beside any power of the norm its mask is gone."""
    model = derive.parse(f"dims n\ninput y : [n]\nparam g\nparam x : [n]\nminimize {text}\n")
    assert str(model.gradient("x")["x"]) == f"dx = {printed}"


def test_own_mask() -> None:
    """A mask of one's own that stands beside no power of the norm is printed."""
    model = derive.parse("dims n\nparam x : [n]\nminimize (norm(x) != 0) * sum(x)\n")
    assert "‖x‖ ≠ 0" in str(model.gradient("x")["x"])


def test_hessian() -> None:
    """Second derivatives follow."""
    h = derive.parse("dims n\nparam x : [n]\nL = norm(x)\nminimize L\n").hessian("x")
    assert h.structure == "∂dx/∂x = (I − dx dxᵀ)/L"
    assert "≠" not in h.element + h.index + str(h.expanded())


def test_said_once() -> None:
    """Each page says once what 1/‖x‖ is; what a module rests on no norm for says nothing."""
    model = derive.parse(NORM)
    gradient, note = model.gradient(), "1/‖x − a‖ is 0 where x − a = 0"
    for form in ("matrix", "index", "python"):
        assert formulas_of(gradient, form).count(note) == 1
    assert latex_of(gradient).count(f"% {note}") == 1
    assert str(gradient).count(note) == 1
    assert str(gradient.steps()).count(note) == 1
    assert gradient.steps().latex().count("is 0 where $x - a = 0$") == 1
    assert sheet(model).count(note) == 1
    assert article(gradient).count(r"$1/\left\lVert x - a\right\rVert$ is 0 where $x - a = 0$.") == 1
    assert "≠" not in str(gradient.steps()) + sheet(model).partition("## What simplified them")[0]
    other = derive.parse(UNMASKED).gradient()
    assert not remarks(other.notation, (), [f.equation for f in other.formulas])
    assert "is 0 where" not in str(other) + str(other.steps()) + formulas_of(other)


def test_forward_is_the_norm() -> None:
    """Names that only the choice at 0 needed are gone from what is printed."""
    program = derive.parse(NAMED).gradient().program
    assert [e["latex"] for e in to_json(program)["equations"] if e["name"] == "N"] == [r"N = \left\lVert b\right\rVert"]
    assert "S = " not in formulas_of(derive.parse(NAMED).gradient(), "index")


def test_zero_in_code() -> None:
    """What is computed at the kink is 0, by the definition and by the module."""
    model, point = derive.parse(NORM), {"x": np.ones(3), "a": np.ones(3)}
    program = model.gradient().program
    assert np.array_equal(evaluate(program, point)["dx"], np.zeros(3))
    module = codegen.compile(model, target="numpy", sizes={"n": 3})
    _, grads = module.loss_and_grad({"x": point["x"]}, a=point["a"])
    assert np.array_equal(grads["x"], np.zeros(3))


@pytest.mark.parametrize("text", [NORM, NAMED], ids=["norm", "named"])
def test_printed_is_proved(text: str) -> None:
    """What is printed says what is meant."""
    program = derive.parse(text).program
    gradient = derive.parse(text).gradient()
    lines = [line for f in gradient.formulas for line in (f.matrix, f.index) if line is not None]
    assert [v.status for v in verify_formulas(program, lines)] == [PROVED] * len(lines)


ACCEPTED = (
    "dx = (x - a)/norm(x - a)",
    "dx[i] = (x[i] - a[i])/sqrt(sum[j] (x[j] - a[j])^2)",
    "dx = (x - a)/sqrt(sum((x - a)^2))",
    "dx = (norm(x - a) != 0)*(x - a)/norm(x - a)",
    "dx = ((x - a)/norm(x - a) if norm(x - a) != 0 else 0)",
)


@pytest.mark.parametrize("line", ACCEPTED)
def test_accepted(line: str) -> None:
    """With the mask or without, of a norm that is 0 at 0 and of a root that has no slope there."""
    for text in (NORM, UNMASKED):
        (verdict,) = verify_formulas(derive.parse(text).program, [line])
        assert verdict.status == PROVED, verdict


@pytest.mark.parametrize(
    "line",
    [
        "dx = ((x - a)/norm(x - a) if norm(x - a) != 0 else 1)",
        "dx = (x - a)/norm(x - a) + (norm(x - a) == 0)",
        "dx = (x - a)/norm(x - a) + (x == a)*(norm(x - a) == 0)",
    ],
)
def test_refused_at_the_kink(line: str) -> None:
    """A line that says another value at 0 is refused; where the model itself has none there, it cannot be."""
    (verdict,) = verify_formulas(derive.parse(NORM).program, [line])
    assert (verdict.status, verdict.kind) == (REFUTED, "kink"), verdict
    (verdict,) = verify_formulas(derive.parse(UNMASKED).program, [line])
    assert verdict.status == AGREES, verdict


def test_no_value_at_zero() -> None:
    """x/‖x‖ of the model's own has no value at 0, nor a note; its derivative is right with masks and without."""
    text = "dims n\ninput a : [n]\nparam x : [n]\ny = x / norm(x)\nminimize a @ y + {}\n"
    line = "dx = a/norm(x) - x*(x @ a)/norm(x)^3"
    assert np.all(np.isnan(evaluate(derive.parse(text.format("0")).program, {"x": np.zeros(3), "a": np.ones(3)})["y"]))
    for more, added in (("0", ""), ("norm(x)", " + x/norm(x)")):
        right, wrong = line + added, line.replace("-", "+") + added
        verdicts = verify_formulas(derive.parse(text.format(more)).program, [right, wrong])
        assert [v.status for v in verdicts] == [PROVED, REFUTED], verdicts


def test_meant_is_what_was_printed() -> None:
    """A mask taken away and put back: by number the same at every point, the kink among them."""
    program = derive.parse(NORM).gradient().program
    (equation,) = (e for e in program.equations if e.out.name == "dx")
    norms = Norms(program.defined)
    back = equation.with_body(norms.meant(norms.printed(equation.body)))
    other = program.with_equations(back if e is equation else e for e in program.equations)
    for x in (np.ones(3), np.array([2.0, 1.0, -4.0])):
        point = {"x": x, "a": np.ones(3)}
        assert np.array_equal(evaluate(other, point)["dx"], evaluate(program, point)["dx"])
