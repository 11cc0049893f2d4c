"""Steps are lecture notes that cannot be wrong: their mathematics, their text, and that nothing false gets through."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import derive
from derive import forms
from derive.errors import GradcError
from derive.expr import mul, num
from derive.steps import Step, StepError, Steps, edges, steps_of
from derive.steps.bench import Bench

MODELS = Path(__file__).parent.parent / "models"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FILES = [*sorted(MODELS.glob("*.gc")), *sorted(EXAMPLES.glob("*.gc"))]


def told(name: str) -> tuple[derive.Gradient, Steps]:
    gradient = derive.load(MODELS / f"{name}.gc").gradient()
    return gradient, gradient.steps()


def texts(steps: Steps, target: str) -> list[tuple[str, str]]:
    return [(s.rule, str(s)) for s in steps if s.target.name == target]


def find(steps: Steps, target: str, rule: str) -> Step:
    return next(s for s in steps if s.target.name == target and s.rule == rule)


def on_the_bench(gradient: derive.Gradient, step: Step) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The right side of a step at the point at which it was tested, and all tensors there by name."""
    bench = Bench(gradient.derivation)
    return bench.value(step.after, step), {t.name: a for t, a in bench.arrays.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_step_of_every_model_holds(path):
    gradient = derive.load(path).gradient()
    steps = gradient.steps()  # a step that does not hold would raise
    for name in gradient:
        assert any(s.target.name == name for s in steps), name
    assert all(s.text[0] and s.text[1] and s.tex[0] and s.tex[1] for s in steps)
    # what the model line says is what the derivation is told of
    assert {s.target.name for s in steps} >= {f.equation.out.primal.name for f in gradient.formulas}
    assert str(gradient.steps()) == str(steps)


def test_a_product_in_rows():
    _, steps = told("rows")
    assert texts(steps, "A1") == [
        ("total derivative", "∂loss/∂A1[n,h] = Σ_{n′,c} dZ2[n′,c] ∂Z2[n′,c]/∂A1[n,h]"),
        ("local derivative", "∂Z2[n,c]/∂A1[n′,h] = 1[n = n′] W2[h,c]"),
        ("Jacobian", "∂Z2[n,:]/∂A1[n,:] = W2ᵀ"),
        ("collapse", "∂loss/∂A1[n,h] = Σ_c dZ2[n,c] W2[h,c]"),
        ("rows and columns", "Σ_c dZ2[n,c] W2[h,c] = Row_n(dZ2)·Col_h(W2ᵀ)"),
        ("matrix form", "dA1 = dZ2 W2ᵀ"),
    ]
    assert find(steps, "A1", "total derivative").before.letters


def test_a_product_in_columns():
    gradient, steps = told("columns")
    assert [t for r, t in texts(steps, "W2") if r in ("collapse", "rows and columns", "matrix form")] == [
        "∂loss/∂W2[c,h] = Σ_n dZ2[c,n] A1[h,n]",
        "Σ_n dZ2[c,n] A1[h,n] = Row_c(dZ2)·Col_h(A1ᵀ)",
        "dW2 = dZ2 A1ᵀ",
    ]
    for rule in ("rows and columns", "matrix form"):
        found, at = on_the_bench(gradient, find(steps, "W2", rule))
        np.testing.assert_allclose(found, at["dZ2"] @ at["A1"].T, rtol=1e-12)
    assert isinstance(find(steps, "W2", "matrix form").after, forms.Product)


def test_a_product_of_one_sample():
    _, steps = told("one_sample")
    assert texts(steps, "W1") == [
        ("total derivative", "∂loss/∂W1[h,d] = Σ_h′ dz[h′] ∂z[h′]/∂W1[h,d]"),
        ("local derivative", "∂z[h]/∂W1[h′,d] = 1[h = h′] x[d]"),
        ("collapse", "∂loss/∂W1[h,d] = dz[h] x[d]"),
        ("matrix form", "dW1 = dz xᵀ"),
    ]


@pytest.mark.parametrize(
    ("layout", "jacobian", "final"),
    [
        ("input z : [h]", "∂a/∂z = diag(a ⊙ (1 − a))", 1),
        ("batch n\ninput z : [n, h]", "∂a[n,:]/∂z[n,:] = diag(a[n,:] ⊙ (1 − a[n,:]))", 2),
        ("batch n\ninput z : [h, n]", "∂a[:,n]/∂z[:,n] = diag(a[:,n] ⊙ (1 − a[:,n]))", 2),
    ],
)
def test_an_element_wise_map(layout, jacobian, final):
    shape = layout[layout.index("[") :]
    text = f"dims h = 3\n{layout}\ninput G : {shape}\na = sigmoid(z)\nminimize sum(G * a^2)\n"
    gradient = derive.parse(text).gradient("z")
    steps = gradient.steps()
    local = find(steps, "z", "local derivative")
    assert "exp(" in local.text[1]  # as SymPy gives it
    assert local.note is not None
    assert local.note.startswith("0 where")
    reused = find(steps, "z", "in terms of the output")
    assert "exp(" not in reused.text[1]
    found, at = on_the_bench(gradient, reused)
    np.testing.assert_allclose(found, at["a"] * (1 - at["a"]), rtol=1e-12)
    assert str(find(steps, "z", "Jacobian")) == jacobian
    found, at = on_the_bench(gradient, find(steps, "z", "matrix form"))
    np.testing.assert_allclose(found, 2 * at["G"] * at["a"] * at["a"] * (1 - at["a"]), rtol=1e-12)
    assert "⊙" in str(find(steps, "z", "matrix form"))
    assert found.ndim == final


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_softmax_has_two_cases_and_one_jacobian(name):
    gradient, steps = told(name)
    rules = [s.rule for s in steps if s.target.name == "Z2"]
    start = rules.index("quotient rule")
    assert rules[start : start + 5] == [
        "quotient rule",
        "equal letters",
        "different letters",
        "both cases in one",
        "Jacobian",
    ]
    column = name == "columns"
    places = (lambda a: f"{a},n") if column else (lambda a: f"n,{a}")
    quotient = f"∂P[{places('c')}]/∂Z2[{places('k')}]"
    equal, different = (str(find(steps, "Z2", f"{w} letters")) for w in ("equal", "different"))
    assert equal == f"{quotient} = P[{places('c')}] (1 − P[{places('c')}]) where c = k"
    assert different == f"{quotient} = −P[{places('c')}] P[{places('k')}] where c ≠ k"
    jacobian = find(steps, "Z2", "Jacobian")
    at = "P[:,n]" if column else "P[n,:]"
    assert jacobian.text[1] == f"diag({at}) − {at} {at}ᵀ"
    found, arrays = on_the_bench(gradient, jacobian)
    for n, p in enumerate(arrays["P"].T if column else arrays["P"]):
        np.testing.assert_allclose(found[n], np.diag(p) - np.outer(p, p), atol=1e-14)


def test_softmax_of_one_sample():
    model = derive.parse("dims c = 3\nparam z : [c]\np = softmax(z)\noutput p\n")
    steps = model.jacobian("p", "z").steps()
    assert [s.rule for s in steps][:4] == ["quotient rule", "equal letters", "different letters", "both cases in one"]
    assert find(steps, "z", "both cases in one").text[1].count("1[c = k]") == 1
    assert str(find(steps, "z", "matrix form")) == "∂p/∂z = diag(p) − p pᵀ"


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_the_double_sum_of_cross_entropy_collapses_for_a_reason(name):
    gradient, steps = told(name)
    tail = [s for s in steps if s.target.name == "Z2"][-5:]
    assert [s.rule for s in tail] == ["collapse", "substitute", "collect", "known sums", "matrix form"]
    assert tail[1].note == "dP written out"
    assert "Σ" in tail[2].text[1]
    assert tail[3].note == "because Σ Y = 1 (one_hot)"
    assert str(tail[4]) == "dZ2 = (P − Y)/n"
    found, at = on_the_bench(gradient, tail[4])
    batch = at["P"].shape[0 if name == "rows" else 1]
    np.testing.assert_allclose(found, (at["P"] - at["Y"]) / batch, atol=1e-12)


def test_without_the_promise_the_sum_stays():
    _, steps = told("general_target")
    assert not [s for s in steps if s.note and "Σ Y" in s.note]
    assert "Y" in find(steps, "Z", "matrix form").text[1]


def test_the_algebra_of_bce():
    gradient, steps = told("bce_probability")
    assert texts(steps, "p") == [
        ("local derivative", "∂loss/∂p[n] = −(y[n]/p[n] − (1 − y[n])/(1 − p[n]))/n"),
        ("algebra", "−(y[n]/p[n] − (1 − y[n])/(1 − p[n]))/n = (p[n] − y[n])/(n p[n] (1 − p[n]))"),
        ("matrix form", "dp = ((p − y) ⊘ (p ⊙ (1 − p)))/n"),
    ]
    found, at = on_the_bench(gradient, find(steps, "p", "algebra"))
    y, p = at["y"], at["p"]
    np.testing.assert_allclose(found, (p - y) / (p * (1 - p)) / p.size, rtol=1e-12)


def test_a_wrong_step_raises():
    gradient, steps = told("rows")
    bench = Bench(gradient.derivation)
    good = find(steps, "W2", "rows and columns")
    bench.require(good)
    with pytest.raises(StepError, match="rows and columns of W2 does not hold"):
        bench.require(replace(good, before=mul(num(2), good.before)))


def test_a_wrong_derivative_never_becomes_a_story(monkeypatch):
    gradient, _ = told("rows")
    right = edges.partials

    def wrong(*arguments):
        return [replace(p, factor=mul(num(-1), p.factor)) for p in right(*arguments)]

    monkeypatch.setattr(edges, "partials", wrong)
    with pytest.raises(StepError, match="does not hold"):
        steps_of(gradient.derivation)


def test_a_wrong_gradient_never_becomes_a_story():
    derivation = told("one_sample")[0].derivation
    raw = derivation.raw
    broken = [e.with_body(2 * e.body) if e.out.name == "da" else e for e in raw.equations]
    with pytest.raises(StepError, match="da is not the derivative"):
        steps_of(replace(derivation, raw=raw.with_equations(broken)))


def test_a_formula_tells_its_own_steps():
    gradient, steps = told("rows")
    own = gradient["W1"].steps()
    assert {s.target.name for s in own} == {"W1"}
    assert str(own[-1]) == gradient["W1"].matrix == "dW1 = Xᵀ dZ1"
    assert own[0].span is None or own[0].span.line
    assert len(own) < len(steps)
    softmax = next(f for f in gradient.formulas if f.name == "dZ2").steps()
    assert softmax[0].target.name == "P"  # it is written out in dZ2, so its story belongs here
    assert {s.target.name for s in softmax} == {"P", "Z2"}
    with pytest.raises(GradcError, match="not derived"):
        derive.differentiable.Formula(gradient.program.equations[0], gradient.notation).steps()


def test_derivatives_of_every_kind_tell_their_steps():
    quadratic, net = (derive.load(MODELS / f"{n}.gc") for n in ("quadratic", "one_sample"))
    assert str(quadratic.hessian("x").steps()[-1]).endswith("= A + Aᵀ")
    assert "x_dot" in str(quadratic.hvp("x").steps()[-1])
    onward = net.tangent("W1").steps()
    assert [s.target.name for s in onward if s.rule == "total differential"] == ["z", "a", "o", "loss"]
    assert str(find(onward, "z", "matrix form")) == "z_dot = W1_dot x"
    assert [s.rule for s in net.jacobian("a", "a").steps()] == ["seed"]


def test_steps_print_as_text_latex_and_data():
    _, steps = told("rows")
    text = str(steps)
    assert "W2\n    line 11: Z2 = A1@W2+b2\n" in text
    assert "  = (P[n,c] − Y[n,c])/n   (because Σ Y = 1 (one_hot))" in text
    tex = steps.latex()
    assert tex.startswith("\\begin{align*}")
    assert r"\frac{\partial P_{n,c}}{\partial [Z_{2}]_{n,k}}" in tex
    assert tex.count("{") == tex.count("}")
    assert not any(sign in tex for sign in "∂Σ⊙ᵀ′≠·")
    data = json.loads(json.dumps(steps.as_json()))
    assert data[-1]["by"] == "b1"
    assert {"rule", "before", "after", "latex", "line", "note"} <= set(data[0])
