"""Steps are lecture notes that cannot be wrong: their mathematics, their text, and that nothing false gets through."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from layer_models import layer_models

import derive
from derive import forms
from derive.errors import GradcError
from derive.steps import Step, Steps
from derive.steps.bench import Bench

ROOT = Path(__file__).parents[3]
MODELS, EXAMPLES = ROOT / "tests" / "models", ROOT / "examples"
FILES = [*sorted(MODELS.glob("*.gc")), *sorted(EXAMPLES.glob("*.gc"))]
EVERY = {path.stem: path.read_text(encoding="utf-8") for path in FILES} | layer_models()


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


@pytest.mark.parametrize("text", EVERY.values(), ids=EVERY)
def test_every_step_of_every_model_holds(text):
    gradient = derive.parse(text).gradient()
    steps = gradient.steps()  # a step that does not hold would raise
    for name in gradient:
        assert any(s.target.name == name for s in steps), name
    assert all(s.text[0] and s.text[1] and s.tex[0] and s.tex[1] for s in steps)
    # what is printed is told; what layers share is added up layer by layer only where the depth is a symbol
    assert gradient.symbolic is not None or {s.target.name for s in steps} >= {
        f.equation.out.primal.name for f in gradient.formulas if f.equation.out.kind == "cotangent"
    }
    are_latex_throughout(steps)
    have_one_name_for_each_letter(steps)


def are_latex_throughout(steps: Steps) -> None:
    tex = steps.latex()
    assert tex.isascii()
    assert tex.count("{") == tex.count("}")
    assert all(d["latex_note"] is None or d["latex_note"].isascii() for d in steps.as_json())
    assert all(d["latex_note"] is None or d["latex_note"].count("$") % 2 == 0 for d in steps.as_json())


def have_one_name_for_each_letter(steps: Steps) -> None:
    """What is on the left of a total derivative is called so in each later step of that tensor."""
    rules = ("total derivative", "derivative of terms", "local derivative", "chain rule")
    for name in dict.fromkeys(s.target.name for s in steps):
        own = [s for s in steps if s.target.name == name]
        root = next(s.text[0] for s in own if s.rule in rules)
        again = [s.text[0] for s in own if s.text[0].startswith(root.partition("[")[0] + "[")]
        assert set(again) <= {root}, name


@pytest.mark.parametrize("name", ["rows", "rnn"])
def test_a_story_is_told_the_same_way_twice(name):
    gradient, steps = told(name)
    assert str(gradient.steps()) == str(steps)


def test_a_product_in_rows():
    _, steps = told("rows")
    assert texts(steps, "A1") == [
        ("element", "Z2[n,c] = Σ_h′ A1[n,h′] W2[h′,c] + b2[c]"),
        ("total derivative", "∂loss/∂A1[n,h] = Σ_{n′,c} ∂loss/∂Z2[n′,c] ∂Z2[n′,c]/∂A1[n,h]"),
        ("derivative of terms", "∂Z2[n′,c]/∂A1[n,h] = Σ_h′ 1[n = n′] 1[h = h′] W2[h′,c]"),
        ("collapse", "Σ_h′ 1[n = n′] 1[h = h′] W2[h′,c] = 1[n = n′] W2[h,c]"),
        ("Jacobian", "∂Z2[n,:]/∂A1[n,:] = W2ᵀ"),
        ("collapse", "∂loss/∂A1[n,h] = Σ_c ∂loss/∂Z2[n,c] ∂Z2[n,c]/∂A1[n,h]"),
        ("insert", "Σ_c ∂loss/∂Z2[n,c] ∂Z2[n,c]/∂A1[n,h] = Σ_c dZ2[n,c] W2[h,c]"),
        ("rows and columns", "Σ_c dZ2[n,c] W2[h,c] = Row_n(dZ2)·Col_h(W2ᵀ)"),
        ("matrix form", "dA1 = dZ2 W2ᵀ"),
    ]
    assert find(steps, "A1", "total derivative").before.letters


def test_a_product_in_columns():
    gradient, steps = told("columns")
    assert [t for r, t in texts(steps, "W2")][-4:] == [
        "∂loss/∂W2[c,h] = Σ_n ∂loss/∂Z2[c,n] ∂Z2[c,n]/∂W2[c,h]",
        "Σ_n ∂loss/∂Z2[c,n] ∂Z2[c,n]/∂W2[c,h] = Σ_n dZ2[c,n] A1[h,n]",
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
        ("element", "z[h] = Σ_d′ W1[h,d′] x[d′] + b1[h]"),
        ("total derivative", "∂loss/∂W1[h,d] = Σ_h′ ∂loss/∂z[h′] ∂z[h′]/∂W1[h,d]"),
        ("derivative of terms", "∂z[h′]/∂W1[h,d] = Σ_d′ 1[h = h′] 1[d = d′] x[d′]"),
        ("collapse", "Σ_d′ 1[h = h′] 1[d = d′] x[d′] = 1[h = h′] x[d]"),
        ("collapse", "∂loss/∂W1[h,d] = ∂loss/∂z[h] ∂z[h]/∂W1[h,d]"),
        ("insert", "∂loss/∂z[h] ∂z[h]/∂W1[h,d] = dz[h] x[d]"),
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
    apart = find(steps, "z", "zero elsewhere")
    assert apart.text[1] == "0 where h ≠ h′" if final == 1 else apart.text[1].count(" ≠ ") == 2
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
    start = rules.index("zero elsewhere")
    assert rules[start : start + 8] == [
        "zero elsewhere",
        "quotient rule",
        "equal letters",
        "in terms of the output",
        "different letters",
        "in terms of the output",
        "both cases in one",
        "Jacobian",
    ]
    column = name == "columns"
    p, q = ("P[c,n]", "P[c′,n]") if column else ("P[n,c]", "P[n,c′]")
    quotient = "∂P[c′,n]/∂Z2[c,n]" if column else "∂P[n,c′]/∂Z2[n,c]"
    own = [str(s) for s in steps if s.target.name == "Z2"]
    e, other = p.replace("P", "E"), q.replace("P", "E")
    assert own[start + 1].count("S[n]²") == 1  # over one fraction line, as the rule says
    assert f"(S[n] {e} − {e}²)/S[n]²" in own[start + 2]
    assert own[start + 3].endswith(f" where c = c′ = {p} (1 − {p}) where c = c′")
    assert e in own[start + 4]
    assert other in own[start + 4]
    assert own[start + 5].removesuffix(" where c ≠ c′").endswith((f"= −{p} {q}", f"= −{q} {p}"))
    one = find(steps, "Z2", "both cases in one")
    assert str(one) in (f"{quotient} = {q} (1[c = c′] − {p})", f"{quotient} = (1[c = c′] − {p}) {q}")
    jacobian = find(steps, "Z2", "Jacobian")
    at = "P[:,n]" if column else "P[n,:]"
    assert jacobian.text[1] == f"diag({at}) − {at} {at}ᵀ"
    found, arrays = on_the_bench(gradient, jacobian)
    for n, p in enumerate(arrays["P"].T if column else arrays["P"]):
        np.testing.assert_allclose(found[n], np.diag(p) - np.outer(p, p), atol=1e-14)


def test_softmax_of_one_sample():
    model = derive.parse("dims c = 3\nparam z : [c]\np = softmax(z)\noutput p\n")
    steps = model.jacobian("p", "z").steps()
    assert [s.rule for s in steps][:3] == ["element", "quotient rule", "equal letters"]
    assert find(steps, "z", "both cases in one").text[1].count("1[c = c′]") == 1
    assert str(find(steps, "z", "matrix form")) == "∂p/∂z = diag(p) − p pᵀ"


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_the_double_sum_of_cross_entropy_collapses_for_a_reason(name):
    gradient, steps = told(name)
    tail = [s for s in steps if s.target.name == "Z2"][-5:]
    assert [s.rule for s in tail] == ["insert", "substitute", "collect", "known sums", "matrix form"]
    assert tail[1].note == "dP written out"
    assert "Σ" in tail[2].text[1]
    y = "Y[n,c′]" if name == "rows" else "Y[c′,n]"
    assert tail[3].note == f"because Σ_c′ {y} = 1 (Y is one_hot)"
    assert str(tail[4]) == "dZ2 = (P − Y)/n"
    found, at = on_the_bench(gradient, tail[4])
    batch = at["P"].shape[0 if name == "rows" else 1]
    np.testing.assert_allclose(found, (at["P"] - at["Y"]) / batch, atol=1e-12)


def test_the_double_sum_of_cross_entropy_collapses_letter_by_letter():
    _, steps = told("rows")
    assert texts(steps, "P") == [
        ("element", "loss = −(1/n) Σ_{n′,c′} Y[n′,c′] log(P[n′,c′])"),
        (
            "derivative of terms",
            "∂loss/∂P[n,c] = −(1/n) Σ_{n′,c′} ((1[n = n′] 1[c = c′] Y[n′,c′])/P[n′,c′])",
        ),
        (
            "collapse",
            "−(1/n) Σ_{n′,c′} ((1[n = n′] 1[c = c′] Y[n′,c′])/P[n′,c′]) = −(1/n) Σ_c′ ((1[c = c′] Y[n,c′])/P[n,c′])",
        ),
        ("collapse", "−(1/n) Σ_c′ ((1[c = c′] Y[n,c′])/P[n,c′]) = −Y[n,c]/(n P[n,c])"),
        ("matrix form", "dP = −(Y ⊘ P)/n"),
    ]


def test_without_the_promise_the_sum_stays():
    _, steps = told("general_target")
    assert not [s for s in steps if s.note and "Σ_c′ Y" in s.note]
    assert "Y" in find(steps, "Z", "matrix form").text[1]


def test_the_algebra_of_bce():
    gradient, steps = told("bce_probability")
    assert [(s.rule, s.text[1]) for s in steps if s.target.name == "p"] == [
        ("element", "−(1/n) Σ_n′ (y[n′] log(p[n′]) + (1 − y[n′]) log(1 − p[n′]))"),
        ("derivative of terms", "−(1/n) Σ_n′ 1[n = n′] (y[n′]/p[n′] − (1 − y[n′])/(1 − p[n′]))"),
        ("collapse", "−(y[n]/p[n] − (1 − y[n])/(1 − p[n]))/n"),
        ("common denominator", "−(y[n] (1 − p[n]) − p[n] (1 − y[n]))/(n p[n] (1 − p[n]))"),
        ("algebra", "(p[n] − y[n])/(n p[n] (1 − p[n]))"),
        ("matrix form", "((p − y) ⊘ (p ⊙ (1 − p)))/n"),
    ]
    found, at = on_the_bench(gradient, find(steps, "p", "algebra"))
    y, p = at["y"], at["p"]
    np.testing.assert_allclose(found, (p - y) / (p * (1 - p)) / p.size, rtol=1e-12)


def test_a_formula_tells_its_own_steps():
    gradient, steps = told("rows")
    own = gradient["W1"].steps()
    assert {s.target.name for s in own} == {"W1"}
    assert str(own[-1]) == gradient["W1"].matrix == "dW1 = Xᵀ dZ1"
    assert all(s.span is not None and s.span.line == 9 for s in own)
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


DEEP = """dims L = 3, h = 5
batch n
input X : [n, h]
target Y : [n, h]
A{0} = X
repeat l = 1..L
  param W{l} : [h, h]
  A{l} = tanh(A{l-1} @ W{l})
end
minimize sum((A{L} - Y)^2) / (2*n)
"""


def test_repeated_layers_are_told_at_one_depth_and_for_any_layer():
    gradient = derive.parse(DEEP).gradient()
    steps = gradient.steps()
    assert str(steps[0]) == "loss = (1/(2 n)) Σ_{n′,h′} (A3[n′,h′] − Y[n′,h′])²"
    assert {"A3", "A1", "W3", "W1"} <= {s.target.name for s in steps}
    assert gradient.symbolic is not None
    general = gradient.symbolic.steps()
    assert list(dict.fromkeys(s.target.name for s in general)) == ["A{L}", "S{L}", "A{l}", "S{l}", "W{l}"]


def test_steps_print_as_text_latex_and_data():
    _, steps = told("rows")
    text = str(steps)
    assert "W2\n    line 11: Z2 = A1@W2+b2\n" in text
    assert "  = (P[n,c] − Y[n,c])/n   (because Σ_c′ Y[n,c′] = 1 (Y is one_hot))" in text
    tex = steps.latex()
    assert tex.startswith("\\begin{align*}")
    assert r"\frac{\partial P_{n,c'}}{\partial [Z_{2}]_{n,c}}" in tex
    assert r"&& \text{known sums: because $\sum_{c'} Y_{n,c'} = 1$ ($Y$ is one\_hot)}" in tex
    assert r"&& \text{element: with $E_{n,c} = \exp\left([Z_{2}]_{n,c}\right)$, $S_{n} = \sum_{c} E_{n,c}$}" in tex
    data = json.loads(json.dumps(steps.as_json()))
    assert data[-1]["by"] == "b1"
    assert {"rule", "before", "after", "latex", "line", "note"} <= set(data[0])
    known = next(d for d in data if d["rule"] == "known sums")
    assert known["latex_note"] == r"because $\sum_{c'} Y_{n,c'} = 1$ ($Y$ is one\_hot)"
    assert (known["line"], known["source"]) == (12, "P = softmax(Z2,axis=1)")
