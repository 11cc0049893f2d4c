"""What notebooks show: LaTeX that holds every formula, HTML that escapes what it is given."""

from __future__ import annotations

from html import escape

import pytest

import derive
from derive.notation.notebook import html_table

TEXT = "dims d, h\nbatch n\ninput X : [n, d]\nparam W : [d, h]\nZ = X @ W\nA = tanh(Z)\nminimize sum(A^2) / n\n"


@pytest.fixture(scope="module")
def model() -> derive.ParsedModel:
    return derive.parse(TEXT)


def test_a_gradient_shows_all_of_its_formulas(model):
    gradient = model.gradient()
    tex, html = gradient._repr_latex_(), gradient._repr_html_()
    assert tex.startswith("$$\\begin{aligned}\n")
    assert tex.endswith("\n\\end{aligned}$$")
    assert tex.count(" &= ") == html.count("<tr>") - 1 == len(gradient.formulas) > 1
    for f in gradient.formulas:
        assert f.latex().replace(" = ", " &= ", 1) in tex
        assert f"[{', '.join(f.shape)}]" in html


def test_a_formula_is_one_display(model):
    f = model.gradient()["W"]
    assert f._repr_latex_() == f"$${f.latex()}$$"
    assert str(f) in f._repr_html_()


@pytest.mark.parametrize("which", ["parsed", "built", "derived"])
def test_models_show_their_equations(model, which):
    built = derive.Model("m")
    w = built.param("w", built.dims("d"))
    built.minimize((w * w).sum() if hasattr(w, "sum") else w @ w)
    shown = {"parsed": model, "built": built, "derived": model.jacobian("A", "Z")}[which]
    tex, html = shown._repr_latex_(), shown._repr_html_()
    assert tex.startswith("$$")
    assert tex.endswith("$$")
    assert html.startswith("<table>")
    if which == "parsed":
        assert r"A &= \tanh\left(Z\right)" in tex
        assert "Z = X W" in html
    if which == "derived":
        assert shown.latex() in tex
        assert "result" in html


def test_cells_are_escaped():
    assert "<b>" not in html_table(["<b>"], [["<b>"]])


def test_steps_show_a_table_for_each_tensor(model):
    steps = model.gradient().steps()
    html = steps._repr_html_()
    targets = list(dict.fromkeys(s.target for s in steps))
    assert html.count("<table>") == len(targets) > 1
    assert html.count("<tr>") == len(steps) + len(targets)
    for t in targets:
        assert f"<b>{t.name}</b>" in html
    for s in steps:
        assert escape(s.text[1]) in html
        assert escape(s.note or "") in html
    assert "<code>line 6: A = tanh(Z)</code>" in html
    assert repr(steps) == str(steps)
    assert steps._repr_latex_() == steps.latex() == steps.typeset()._repr_latex_()


def test_a_step_is_one_display(model):
    step = model.gradient().steps()[0]
    assert repr(step) == str(step)
    assert step._repr_latex_() == f"$${step.latex()}$$"
    assert escape(str(step)) in step._repr_html_()


def test_typesetting_leaves_the_table_away(model):
    gradient = model.gradient()
    found = gradient.typeset()
    assert found._repr_latex_() == gradient._repr_latex_()
    assert repr(found) == str(gradient) == repr(gradient)
    assert not hasattr(found, "_repr_html_")
    assert model.jacobian("A", "Z").expanded(at=("n", None, "n", None))._repr_latex_().startswith(r"$$\frac{\partial")


def test_a_model_shows_the_lines_of_its_author(model):
    assert "A = tanh(Z)</td></tr>" in model._repr_html_()
    assert "model line" not in model.gradient()._repr_html_()
    assert repr(model).splitlines()[0] == "Z = X W"


def test_a_symbolic_depth_says_for_which_layers_a_formula_holds():
    gradient = derive.parse(
        "dims L = 3, h\nbatch m\ninput X : [m, h]\nA{0} = X\nrepeat l = 1..L\n  param W{l} : [h, h]\n"
        "  Z{l} = A{l-1} @ W{l}\n  A{l} = tanh(Z{l})\nend\nminimize sum(A{L})\n"
    ).gradient()
    html, tex = gradient._repr_html_(), gradient._repr_latex_()
    assert html.count("for l = L−1, …, 1</td>") == tex.count(r"\text{for $l = L-1, \dots, 1$}") == 2
    assert html.count("for l = 1, …, L</td>") == 1
    assert html.count("<tr>") - 1 == len(gradient.symbolic.formulas) > 4
