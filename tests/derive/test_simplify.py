"""Simplification: equal to the raw cotangents, never dearer, textbook results, and a report of what fired."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive import pipeline
from derive.cost import Cost, cost
from derive.evaluate import evaluate
from derive.expr import Expr, fresh_like, sum_over
from derive.facts import Facts
from derive.normal import Normalizer, equal
from derive.pipeline import Derivation
from derive.program import Equation, Program, letters_for, reads
from derive.rewrite import accesses
from derive.simplify import inline, simplify


def total(equations) -> Cost:
    found = Cost()
    for e in equations:
        found = found + cost(e.body)
    return found


def backward(program: Program, derivation: Derivation) -> list[Equation]:
    given = {e.out for e in derivation.prepared.equations}
    return [e for e in program.equations if e.out not in given]


def test_simplified_is_raw(zoo, numeric):
    model, derivation = numeric.parsed(zoo), numeric.derived(zoo).derivation
    for seed in (0, 1):
        values = numeric.draw(model.program, seed)
        raw, simplified = numeric.gradients(derivation.raw, values), numeric.gradients(derivation.formulas, values)
        for name, want in raw.items():
            np.testing.assert_allclose(simplified[name], want, rtol=1e-9, atol=1e-12, err_msg=name)


def at_once(numeric, text):
    """The derivation of the written-out program: one with its depth as a symbol names more than one depth needs."""
    gradient = numeric.derived(text)
    if gradient.symbolic is None:
        return gradient.derivation
    return pipeline.gradient(gradient.derivation.source, gradient.derivation.source.parameters)


def test_no_formula_costs_more_than_the_raw_one(zoo, numeric):
    """Each equation alone, with what was inlined into it, and all of them together."""
    derivation = at_once(numeric, zoo)
    raw, short = backward(derivation.raw, derivation), backward(derivation.formulas, derivation)
    assert total(short) <= total(raw)
    before = {e.out: e for e in raw}
    left = {e.out for e in short}
    for e in short:
        behind, stack = {e.out}, [e.out]
        while stack:  # the raw equations that this one replaces
            for t in reads(before[stack.pop()].body):
                if t in before and t not in left and t not in behind:
                    behind.add(t)
                    stack.append(t)
        assert cost(e.body) <= total(before[t] for t in behind), e


def test_nothing_that_nobody_reads_is_left(zoo, numeric):
    derivation = numeric.derived(zoo).derivation
    short = backward(derivation.formulas, derivation)
    wanted = {bar for _, bar in derivation.formulas.gradients}
    used = {t for e in short for t in reads(e.body)}
    assert all(e.out in used | wanted for e in short)


def test_simplifying_twice_changes_nothing(zoo, numeric):
    derivation = at_once(numeric, zoo)
    again, _ = simplify(derivation.formulas, derivation.prepared)
    assert total(backward(again, derivation)) <= total(backward(derivation.formulas, derivation))


def cotangent_of(gradient: derive.Gradient, name: str) -> Equation:
    return next(e for e in gradient.derivation.derived if e.out.primal is not None and e.out.primal.name == name)


def claim(gradient: derive.Gradient, name: str, body) -> bool:
    """Whether a cotangent is ``body(letters)`` for all that is known of the program."""
    e = cotangent_of(gradient, name)
    program = gradient.derivation.prepared
    wanted: Expr = body(program, e.letters)
    return equal(e.body, wanted, Normalizer(Facts(program))) and equal(e.body, wanted)


def classifier(promise: str, rows: bool = True) -> derive.Gradient:
    shape, axis = ("n, c", 1) if rows else ("c, n", 0)
    product = "X @ W" if rows else "W' @ X'"
    loss = "cross_entropy(Y, P)" if promise else "-sum(Y * log(P)) / n"
    return derive.parse(
        f"dims d=5, c=3\nbatch n\ninput X:[n,d]\ntarget Y:[{shape}]{promise}\nparam W:[d,c]\nZ = {product}\n"
        f"P = softmax(Z, axis={axis})\nminimize {loss}\n"
    ).gradient()


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("promise", ["one_hot", "simplex"])
def test_p_minus_y_follows_from_the_promise(promise, rows):
    gradient = classifier(f" {promise}({1 if rows else 0})", rows)

    def residual(p: Program, letters):
        return (p.tensor("P").at(letters) - p.tensor("Y").at(letters)) / p.batch

    assert claim(gradient, "Z", residual)
    assert str(gradient.formulas[0]) == "dZ = (P − Y)/n"
    assert any(f"Σ Y = 1 ({promise})" in str(f) for f in gradient.report.firings)


def test_p_minus_y_when_the_logits_have_no_name():
    gradient = derive.parse(
        "dims d=5, c=3\nbatch n\ninput X:[n,d]\ntarget Y:[n,c] one_hot\nparam W:[d,c]\nparam b:[c]\n"
        "P = softmax(X @ W + b, axis=1)\nminimize cross_entropy(Y, P)\n"
    ).gradient("b")
    (equation,) = gradient.derivation.derived[-1:]
    program = gradient.derivation.prepared
    (c,) = equation.letters
    n = letters_for((program.batch,))[0]
    residual = sum_over((n,), (program.tensor("P")[n, c] - program.tensor("Y")[n, c]) / program.batch)
    inlined = equation.body
    for d in reversed(gradient.derivation.derived[:-1]):
        inlined = inline(inlined, d)
    assert equal(inlined, residual)


@pytest.mark.parametrize("rows", [True, False])
def test_without_a_promise_the_sum_stays(rows):
    gradient = classifier("", rows)

    def residual(p: Program, letters):
        axis = 1 if rows else 0
        y, k = p.tensor("Y"), fresh_like(letters[axis])
        other = (letters[0], k) if rows else (k, letters[1])
        mass = sum_over((k,), y.at(other))
        return (p.tensor("P").at(letters) * mass - y.at(letters)) / p.batch

    assert claim(gradient, "Z", residual)
    text = "dZ = (P ⊙ (Y 1 1ᵀ) − Y)/n" if rows else "dZ = (P ⊙ (1ᵀ Y) − Y)/n"
    assert str(gradient.formulas[0]) == text
    assert not any("Σ Y" in str(f) for f in gradient.report.firings)


def test_a_false_promise_is_what_the_answer_rests_on(numeric):
    """P − Y is wrong for a target that does not sum to one: the promise, not the loss, makes it right."""
    gradient = classifier(" simplex(1)")
    values = numeric.draw(gradient.derivation.source)
    honest = numeric.gradients(gradient.derivation.formulas, values)["W"]
    np.testing.assert_allclose(honest, numeric.gradients(gradient.derivation.raw, values)["W"], atol=1e-14)
    values["Y"] = values["Y"] * 2
    broken = numeric.gradients(gradient.derivation.formulas, values)["W"]
    assert np.abs(broken - numeric.gradients(gradient.derivation.raw, values)["W"]).max() > 1e-3


def test_labels():
    gradient = derive.parse(
        "dims d=5, c=3\nbatch n\ninput X:[n,d]\ntarget y:[n] labels(c)\nparam W:[d,c]\nZ = X @ W\n"
        "P = softmax(Z, axis=1)\nminimize cross_entropy(y, P)\n"
    ).gradient()
    assert gradient.formulas[0].index == "dZ[n,k] = (P[n,k] − 1[k = y[n]])/n"


def test_a_shift_that_the_author_wrote_has_no_cotangent(numeric):
    shifted = derive.parse(
        "dims c=3\nbatch n\ninput G:[7,c]\nparam Z:[7,c]\nm = max(Z, axis=1)\n"
        "E = exp(Z - col(m))\nP = E / col(sum(E, axis=1))\n"
        "minimize sum(G * P)\n"
    )
    gradient = shifted.gradient("m", "Z")
    assert str(gradient["m"]) == "dm = 0"
    assert not any(t.name == "m" for e in gradient.derivation.derived for t in reads(e.body))
    plain = derive.parse(
        "dims c=3\nbatch n\ninput G:[7,c]\nparam Z:[7,c]\nP = softmax(Z, axis=1)\nminimize sum(G * P)\n"
    ).gradient()
    values = numeric.draw(shifted.program)
    np.testing.assert_allclose(
        numeric.gradients(gradient.derivation.formulas, values)["Z"],
        numeric.gradients(plain.derivation.formulas, values)["Z"],
        atol=1e-14,
    )


def test_a_shift_within_one_line_has_no_cotangent():
    gradient = derive.parse(
        "dims c=3\ninput G:[7,c]\nparam Z:[7,c]\nE = exp(Z - col(max(Z, axis=1)))\n"
        "P = E / col(sum(E, axis=1))\nminimize sum(G * P)\n"
    ).gradient()
    for e in gradient.derivation.derived:
        for t in reads(e.body):
            assert t.dtype == "real", e  # no position of a maximum is needed


def test_the_report_names_what_fired(numeric):
    report = numeric.derived(numeric.zoo["rows"]).report
    lines = str(report).splitlines()
    assert lines
    assert any("Σ Y = 1 (one_hot)" in line for line in lines)
    assert any(line.startswith("dZ2: dE inlined") for line in lines)
    assert not report.kept
    for f in report.firings:
        assert f.after <= f.before
        assert str(f.before) in str(f)


def test_a_large_expansion_keeps_its_value(numeric):
    factors = " * ".join(f"(1 + x[{k}] * y[{k}])" for k in range(8))
    model = derive.parse(f"param x:[8]\ninput y:[8]\nminimize {factors}\n")
    gradient = model.gradient()
    values = numeric.draw(model.program)
    want = numeric.complex_step(model.program, values, "x", model.program.objective.name)
    np.testing.assert_allclose(numeric.gradients(gradient.derivation.formulas, values)["x"], want, rtol=1e-12)


def test_inlining_renames_binders():
    program = derive.parse("dims n=3\ninput A:[n,n]\nr = sum(A, axis=1)\nq = sum(A * col(r), axis=1)\n").program
    r, q = program.equations
    inlined = inline(inline(q.body, r), r)
    assert r.out not in {a.tensor for a in accesses(inlined)}
    assert inlined.letters <= set(q.letters)
    values = {"A": np.random.default_rng(0).normal(size=(3, 3))}
    found = evaluate(program.with_equations([q.with_body(inlined)]), values)["q"]
    np.testing.assert_allclose(found, evaluate(program, values)["q"])


def test_whole_terms_stay_out_of_a_common_denominator() -> None:
    text = (
        "dims d = 3\nparam x : [d]\nparam a\nr = norm(x)\nq = a*r\nu = q*r\nminimize sin(q) + u^2 + sum(x / (1 + r))\n"
    )
    shown = {f.name: f.matrix for f in derive.parse(text).gradient().formulas}
    assert shown["dr"] == "dr = a dq + q du − Σ(x)/(1 + r)²"


@pytest.mark.parametrize("bias_first", [True, False])
def test_a_bias_sums_up_what_the_weights_read(bias_first):
    params = ["param b : [h]", "param W : [d, h]"]
    text = "dims d, h\nbatch n\ninput X : [n, d]\ninput G : [n, h]\n" + "\n".join(
        params if bias_first else params[::-1]
    )
    gradient = derive.parse(f"{text}\nA = tanh(X @ W + b)\nminimize sum(G * A)").gradient()
    lines = [str(f).splitlines()[0] for f in gradient.formulas]
    assert [line for line in lines if line[1] in "SbW"] == [
        "dS = G ⊙ (1 − A∘²), with S = X W",
        "db = 1ᵀ dS",
        "dW = Xᵀ dS",
    ]
