"""What notebooks show: LaTeX that holds every formula, HTML that escapes what it is given."""

from __future__ import annotations

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
