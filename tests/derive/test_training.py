"""Two forms of a model, states and noise: what is read, derived, printed and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from codegen.sheets import formulas_of
from derive.claims import PROVED, REFUTED, formulas_in, verify_formulas
from derive.errors import GradcError
from derive.evaluate import evaluate
from derive.language.text import text
from derive.model import Model, fn
from derive.points import sample
from derive.training import otherwise

MODELS = Path(__file__).parents[1] / "models"
HEAD = "dims d = 3, h = 5\nbatch n\ninput X : [n, d]\n"


def values(program, lines):
    model = derive.parse(HEAD + lines)
    return {name: np.asarray(evaluate(form, program)["R"]) for name, form in forms(model).items()}


def forms(model):
    return {"training": model.program, "inference": model.program.inference or model.program}


@pytest.mark.parametrize(
    ("expression", "trained", "used"),
    [
        ("2*X if training else 3*X", lambda x: 2 * x, lambda x: 3 * x),
        ("2*X if not training else 3*X", lambda x: 3 * x, lambda x: 2 * x),
        ("X if training and X > 0 else 0*X", lambda x: np.maximum(x, 0), lambda x: 0 * x),
        ("X if training or X > 0 else 0*X", lambda x: x, lambda x: np.maximum(x, 0)),
        ("training * X", lambda x: x, lambda x: 0 * x),
        ("1 - training + X", lambda x: x, lambda x: x + 1),
        ("X - mean(X, axis=0) if training else X", lambda x: x - x.mean(0), lambda x: x),
        ("(X if training else 2*X) * (3 if training else 5)", lambda x: 3 * x, lambda x: 10 * x),
    ],
)
def test_training_is_a_condition_like_any_other(expression, trained, used):
    x = np.random.default_rng(0).normal(size=(7, 3))
    found = values({"X": x}, f"R = {expression}")
    np.testing.assert_allclose(found["training"], trained(x))
    np.testing.assert_allclose(found["inference"], used(x))


def test_it_stands_in_index_notation_too():
    x = np.random.default_rng(0).normal(size=(7, 3))
    found = values({"X": x}, "R[i, j] = X[i-1, j | 0] if training else sum[k] X[i, k]")
    np.testing.assert_allclose(found["training"], np.vstack([np.zeros((1, 3)), x[:-1]]))
    np.testing.assert_allclose(found["inference"], np.repeat(x.sum(1, keepdims=True), 3, 1))


def test_a_model_that_makes_no_difference_has_one_form():
    assert derive.parse(HEAD + "R = 2 * X").inference is None
    only_in_update = derive.parse(HEAD + "state a\nupdate a = 1 if training else 2\nR = a * X")
    assert only_in_update.program.inference is None
    assert "select" not in str(only_in_update.program.equations)


def test_the_other_form_has_what_it_needs_and_no_updates():
    program = derive.load(MODELS / "two_forms.gc").program
    used = program.inference
    assert used is not None
    assert [e.out.name for e in used.equations] == ["Z", "N", "A", "D", "P", "loss"]
    assert used.declared == program.declared
    assert [e.out.name for e in otherwise(program)] == ["N", "D", "P"]
    assert [(a.name, b.name) for a, b in program.updates] == [
        ("mu", "mu_next"),
        ("s", "s_next"),
        ("count", "count_next"),
    ]


def test_outputs_are_the_same_in_both_forms():
    model = derive.parse(HEAD + "B = mean(X, axis=0)\nR = X - B if training else X")
    assert [t.name for t in model.program.outputs] == ["R"]
    assert model.inference is not None
    assert model.inference.program.outputs == model.program.outputs


def test_own_names_win():
    x = np.ones((2, 3))
    model = derive.parse(HEAD + "input training\nR = X if training > 5 else 2*X")
    assert model.inference is None
    np.testing.assert_allclose(model.evaluate({"X": x, "training": 3.0})["R"], 2 * x)


@pytest.mark.parametrize("name", ["noise", "state", "update"])
def test_the_new_words_are_names_where_no_name_follows(name):
    model = derive.parse(f"{HEAD}{name} = 2 * X\nR = {name} + 1\nnoise M : [n] ~ normal(0, 1)\nstate q")
    assert model.program.equations[0].out.name == name
    assert [t.kind for t in model.program.declared] == ["input", "noise", "state"]


def test_text_and_python_are_the_same_model():
    model = Model("net")
    n, (h,) = model.batch("n"), model.dims(h=4)
    x = model.input("x", n, h)
    m = model.noise("M", n, h, init="bernoulli(0.75)")
    mu = model.state("mu", h, init="zeros()")
    b = model.let("b", fn.mean(x, axis=0))
    model.update("mu", mu + (b - mu) / 10)
    model.let("y", model.where(model.training, (x - b) * m, x - mu))
    written = derive.parse(model.text())
    assert written.program.digest == model.digest()
    assert "noise M : [n, h] ~ bernoulli(0.75)\nstate mu : [h] ~ zeros()\n" in model.text()
    assert "update mu = mu + (b - mu) / 10\n" in model.text()
    again = derive.language.parse.parse(model.text())
    assert text(again) == model.text()


def test_states_and_noise_are_no_parameters_but_one_may_ask():
    model = derive.load(MODELS / "two_forms.gc")
    assert list(model.gradient()) == ["W", "V", "g", "b"]
    assert list(model.gradient("M", "e")) == ["M", "e"]
    with pytest.raises(GradcError, match="no gradient by mu"):
        _ = model.gradient()["mu"]


def test_derivatives_are_those_of_the_training_form():
    model = derive.parse("input x\ny = x^2 if training else x^3\noutput y")
    jacobian = model.jacobian("y", "x")
    assert jacobian.index == "result = 2 x"
    assert jacobian.program.inference is None
    assert derive.parse("param w\nminimize w^2 if training else w").hessian("w").program.inference is None


def test_batch_norm_has_the_three_terms_of_the_textbook():
    model = derive.load(MODELS / "two_forms.gc")
    lines = (
        "dN = g * dA * (1 - A^2)",
        "dZ = (dN - mean(dN, axis=0) - N * mean(dN * N, axis=0)) / sqrt(v + 1e-5)",
        "dg = sum(N * dA * (1 - A^2), axis=0)",
        "s_next = s + (v - s) / 10",
    )
    assert [v.status for v in verify_formulas(model.program, lines)] == [PROVED] * len(lines)
    (wrong,) = verify_formulas(model.program, ["dZ = (dN - N * mean(dN * N, axis=0)) / sqrt(v + 1e-5)"])
    assert wrong.status == REFUTED


@pytest.mark.parametrize("name", ["two_forms", "two_forms_layers"])
def test_what_is_printed(name):
    model = derive.load(MODELS / f"{name}.gc")
    for form in ("matrix", "index", "python"):
        shown = formulas_of(model.gradient(), form)
        after, used = shown.split("# after a training step\n")[1].split("# when it is used, not trained\n")
        assert "next" in after
        assert all(line.lstrip().startswith(("# ", "for")) for line in used.splitlines())
        assert "mu" in used
    if name == "two_forms":
        assert "  # N = (Z − mu) ⊘ √(s + 1/100000)" in formulas_of(model.gradient())
        stated = formulas_in(formulas_of(model.gradient()), "printed")
        assert {v.status for v in verify_formulas(model.program, stated)} == {PROVED}
    else:
        assert model.repeated is not None
        assert model.repeated.why_not is None
        assert "    A_mu_nextˡ = A_mˡ/5 + (4/5) A_muˡ" in formulas_of(model.gradient())


def test_noise_is_drawn_from_its_distribution():
    program = derive.parse(
        "dims k = 40000, f = 8\nnoise a : [k] ~ bernoulli(0.3)\nnoise b : [k] ~ normal(1, 2)\n"
        "noise c : [k] ~ uniform(-1, 3)\nnoise e : [k, f] ~ he_normal()\ny = sum(a + b + c) + sum(e)"
    ).program
    rng = np.random.default_rng(0)
    a, b, c, e = (sample(program, t, {"k": 40000, "f": 8}, rng) for t in program.declared)
    assert set(a) == {0.0, 1.0}
    np.testing.assert_allclose([a.mean(), b.mean(), b.std(), c.mean()], [0.3, 1, 2, 1], atol=0.05)
    assert c.min() >= -1
    assert c.max() < 3
    assert e.shape == (40000, 8)


ERRORS = {
    "noise M : [n, h]": "5:1: error: the noise M does not say how it is drawn",
    "noise M : [n, h] ~ binomial(3)": "5:20: error: unknown initializer binomial",
    "noise M : [n, h] ~ bernoulli(W)": "5:30: error: W is not known when",
    "noise M : [n] binary ~ bernoulli(0.5)": "5:15: error: binary is a promise about data; a noise is not given it",
    "state m : [n] ~ zeros()": "5:7: error: the state m [n] has the batch axis n",
    "state m : [h] in 0..1 ~ zeros()": "5:18: error: bounds are for parameters and data, m is a state",
    "state m : [h] ~ zeros()\nupdate m = mean(X, axis=0)": "6:12: error: m is [h], its next value [d]",
    "state m : [h] ~ zeros()\nupdate m[j] = W[0, j] + q": "6:25: error: unknown name q",
    "state m ~ zeros()\nupdate m = 1\nupdate m = 2": "7:8: error: m is updated twice",
    "update W = 2 * W": "5:8: error: W is no state, and only a state is updated",
    "update X = 2 * X": "5:8: error: X is no state",
    "update m = 2": "5:8: error: unknown name m",
    "update = 3\nupdate update = 4": "6:8: error: update is no state",
    "state m ~ zeros()\nR = m_next\nupdate m = 1": "6:5: error: unknown name m_next",
    "fn f(x) = x if training else 0": "5:16: error: unknown name training",
    "dims k = training": "error",
    "repeat l = 1..3\n  state m{l} ~ zeros()\nend\nupdate m{2} = 1": "8:8: error: m{2} is updated where it is declared",
    "state m ~ zeros()\nrepeat l = 1..3\n  update m = 1\nend": "7:10: error: m is updated where it is",
    "block f(x)\n  state m ~ zeros()\n  update x = 2\n  y = x + m\n  return y\nend\nR = f(X)": "7:10: error: X is no",
}


@pytest.mark.parametrize("lines", ERRORS)
def test_mistakes_are_explained_where_they_stand(lines):
    with pytest.raises(GradcError) as caught:
        _ = derive.parse(
            f"dims d = 3, h = 5\nbatch n\ninput X : [n, d]\nparam W : [d, h] ~ he_normal()\n{lines}"
        ).program
    message = str(caught.value)
    assert ERRORS[lines] in message
    assert "^" in message


def test_what_a_block_keeps_and_draws_is_called_after_its_use():
    program = derive.load(MODELS / "two_forms_layers.gc").program
    kinds = {t.name: t.kind for t in program.declared}
    assert {k for k, kind in kinds.items() if kind == "state"} == {f"A_{x}{k}" for x in ("mu", "s") for k in (1, 2, 3)}
    assert {k for k, kind in kinds.items() if kind == "noise"} == {f"A_M{k}" for k in (1, 2, 3)}
    assert [b.name for _, b in program.updates] == [f"A_{x}_next{k}" for k in (1, 2, 3) for x in ("mu", "s")]
