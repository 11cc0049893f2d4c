"""Stable forms: what code is made of stays finite and right where the mathematics is, out to ±1e4 and down to 1e-12."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import derive
from derive.evaluate import evaluate, evaluate_expr
from derive.expr import add, call, mul, num, power
from derive.functions import EXPM1, LOG1P, PRIMITIVES
from derive.pipeline import forward
from derive.program import Tensor
from derive.rewrite import walk
from derive.stabilize import RULES

LOGITS = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.5, -0.5], [-1e4, -1e4, -1e4], [710.0, 709.0, -745.0]])
POINTS = np.array([-1e4, -745.0, -700.0, -40.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 40.0, 700.0, 710.0, 1e4])
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 2]]
SOFT = np.array([[0.25, 0.5, 0.25]] * 5)


def softmax(z: np.ndarray) -> np.ndarray:
    return special.softmax(z, axis=1)


def stable(text: str, values: dict[str, np.ndarray]):
    """The objective and its gradient by what code is made of, without a single warning."""
    model = derive.parse(text)
    derivation = model.gradient().derivation
    found = evaluate(derivation.stable, values)
    gradients = {v.name: found[bar.name] for v, bar in derivation.stable.gradients}
    assert model.program.objective is not None
    return float(found[model.program.objective.name]), gradients, derivation


HEAD = "dims c=3\nparam Z:[5,c]\n"
CROSS = {
    "one-hot": ("target Y:[5,c] one_hot\nP = softmax(Z, axis=1)\nminimize cross_entropy(Y, P)\n", ONE_HOT),
    "simplex": ("target Y:[5,c] simplex\nP = softmax(Z, axis=1)\nminimize cross_entropy(Y, P)\n", SOFT),
    "written out": ("target Y:[5,c] simplex\nP = softmax(Z, axis=1)\nminimize -sum(Y * log(P)) / 5\n", SOFT),
    "log_softmax": ("target Y:[5,c] simplex\nL = log_softmax(Z, axis=1)\nminimize -sum(Y * L) / 5\n", SOFT),
    "within one line": ("target Y:[5,c] one_hot\nminimize cross_entropy(Y, softmax(Z, axis=1))\n", ONE_HOT),
}


@pytest.mark.parametrize("name", CROSS)
def test_softmax_with_cross_entropy(name):
    text, y = CROSS[name]
    loss, gradients, _ = stable(HEAD + text, {"Z": LOGITS, "Y": y})
    want = -np.sum(y * special.log_softmax(LOGITS, axis=1)) / 5
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(gradients["Z"], (softmax(LOGITS) - y) / 5, atol=1e-15)


def test_softmax_with_labels():
    text = "dims c=3\nbatch n\nparam Z:[5,c]\ntarget y:[5] labels(c)\nminimize cross_entropy(y, softmax(Z, axis=1))\n"
    loss, gradients, _ = stable(text.replace("batch n\n", ""), {"Z": LOGITS, "y": np.array([0, 2, 1, 1, 2])})
    want = -np.sum(ONE_HOT * special.log_softmax(LOGITS, axis=1)) / 5
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(gradients["Z"], (softmax(LOGITS) - ONE_HOT) / 5, atol=1e-15)


def test_softmax_in_columns():
    text = "dims c=3\nparam Z:[c,5]\ntarget Y:[c,5] one_hot(0)\nP = softmax(Z, axis=0)\n"
    text += "minimize cross_entropy(Y, P)\noutput P\n"
    loss, gradients, derivation = stable(text, {"Z": LOGITS.T, "Y": ONE_HOT.T})
    assert np.isfinite(loss)
    np.testing.assert_allclose(gradients["Z"], (softmax(LOGITS) - ONE_HOT).T / 5, atol=1e-15)
    p = evaluate(derivation.stable, {"Z": LOGITS.T, "Y": ONE_HOT.T})["P"]
    np.testing.assert_allclose(p, softmax(LOGITS).T, atol=1e-15)


def test_a_net_in_front_of_the_softmax():
    text = (
        "dims d=2, c=3\nbatch n\ninput X:[n,d]\ntarget Y:[n,c] one_hot\nparam W:[d,c]\nparam b:[c]\n"
        "P = softmax(X @ W + b, axis=1)\nminimize cross_entropy(Y, P)\noutput P\n"
    )
    X, W, b = np.array([[1e4, 1.0], [-1e4, 3.0], [0.1, 0.2]]), np.array([[1.0, -1, 0], [0.5, 0, 1]]), np.zeros(3)
    y = np.eye(3)[[1, 0, 2]]
    loss, gradients, _ = stable(text, {"X": X, "Y": y, "W": W, "b": b})
    want = (softmax(X @ W + b) - y) / 3
    assert loss == pytest.approx(-np.sum(y * special.log_softmax(X @ W + b, axis=1)) / 3)
    np.testing.assert_allclose(gradients["W"], X.T @ want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradients["b"], want.sum(0), atol=1e-15)


def test_attention():
    text = (
        "dims s=5, c=3\nparam S:[s,c]\ninput V:[c,s]\nP[i,j] = exp(S[i,j]) / sum[k] exp(S[i,k])\nO = P @ V\n"
        "minimize sum(O^2) / 2\n"
    )
    V = np.random.default_rng(0).normal(size=(3, 5))
    loss, gradients, _ = stable(text, {"S": LOGITS, "V": V})
    P = softmax(LOGITS)
    dP = (P @ V) @ V.T
    assert loss == pytest.approx(np.sum((P @ V) ** 2) / 2)
    np.testing.assert_allclose(gradients["S"], P * (dP - (dP * P).sum(1, keepdims=True)), atol=1e-12)


@pytest.mark.parametrize("target", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("named", [True, False])
def test_sigmoid_with_bce(target, named):
    lines = "p = sigmoid(z)\nminimize bce(y, p)\n" if named else "minimize bce(y, sigmoid(z))\n"
    y = np.full(POINTS.shape, target)
    loss, gradients, _ = stable(f"param z:[13]\ntarget y:[13]\n{lines}", {"z": POINTS, "y": y})
    want = np.mean(np.logaddexp(0, POINTS) - y * POINTS)
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(gradients["z"], (special.expit(POINTS) - y) / 13, atol=1e-16)


FUNCTIONS = {
    "sigmoid": (special.expit, lambda z: special.expit(z) * special.expit(-z)),
    "softplus": (lambda z: np.logaddexp(0, z), special.expit),
    "silu": (lambda z: z * special.expit(z), lambda z: special.expit(z) * (1 + z * special.expit(-z))),
    "gelu": (
        lambda z: z * (1 + special.erf(z / np.sqrt(2))) / 2,
        lambda z: (1 + special.erf(z / np.sqrt(2))) / 2 + z * np.exp(-np.minimum(z**2, 1e6) / 2) / np.sqrt(2 * np.pi),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
    "tanh": (np.tanh, lambda z: np.cosh(np.minimum(np.abs(z), 700)) ** -2.0),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "log_sigmoid": (lambda z: -np.logaddexp(0, -z), lambda z: special.expit(-z)),
    "tanhshrink": (None, None),
    "squared_relu": (lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0)),
    "mish": (lambda z: z * np.tanh(np.logaddexp(0, z)), None),
    "selu": (None, None),
    "hard_swish": (None, None),
    "atan": (np.arctan, lambda z: 1 / (1 + z**2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_far_out(name):
    value, slope = FUNCTIONS[name]
    text = f"param z:[13]\na = {name}(z)\nminimize sum(a)\noutput a\n"
    _, gradients, derivation = stable(text, {"z": POINTS})
    a = evaluate(derivation.stable, {"z": POINTS})["a"]
    assert np.isfinite(a).all()
    assert np.isfinite(gradients["z"]).all()
    if value is not None:
        np.testing.assert_allclose(a, value(POINTS), rtol=1e-12, atol=1e-300 if name != "tanh" else 1e-15)
    if slope is not None:
        np.testing.assert_allclose(gradients["z"], slope(POINTS), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", [f for f in FUNCTIONS if FUNCTIONS[f][0] is not None])
def test_functions_far_out_with_a_weight(name):
    """A factor in front leads factoring another way; the slope stays finite and the same."""
    weights = np.linspace(0.5, 2, 13)
    plain = stable(f"param z:[13]\na = {name}(z)\nminimize sum(a)\n", {"z": POINTS})[1]["z"]
    text = f"param z:[13]\ninput y:[13]\na = {name}(z)\nminimize sum(a * y) / 5\n"
    weighted = stable(text, {"z": POINTS, "y": weights})[1]["z"]
    np.testing.assert_allclose(weighted, plain * weights / 5, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "softsign"])
def test_nothing_is_singular_at_zero(name):
    small = np.array([0.0, 1e-300, -1e-300, 1e-12, -1e-12, 1e-5])
    model = derive.parse(f"param z:[6]\na = {name}(z)\nminimize sum(a)\n")
    derivation = model.gradient().derivation
    for program in (derivation.formulas, derivation.stable):
        found = evaluate(program, {"z": small})
        gradient = found[program.gradients[0][1].name]
        want = {"softsign": 1.0, "mish": 0.6}.get(name, 0.5)
        np.testing.assert_allclose(gradient, want, atol=1e-4)


def test_small_arguments_lose_no_digits():
    small = np.array([1e-12, -1e-12, 1e-8])
    for text, want in (
        ("log(1 + z)", np.log1p(small)),
        ("exp(z) - 1", np.expm1(small)),
        ("1 + exp(z) - 1", np.exp(small)),
        ("3 * exp(z) - 3 + z", 3 * np.expm1(small) + small),
    ):
        model = derive.parse(f"param z:[3]\na = {text}\nminimize sum(a)\noutput a\n")
        program = model.gradient().derivation.stable
        np.testing.assert_allclose(evaluate(program, {"z": small})["a"], want, rtol=1e-14)


def test_a_shift_is_not_made_where_it_would_change_the_value():
    text = "dims c=3\nparam z:[c]\nE = exp(z)\nS = sum(E)\nq = E / S + 1 / S\nminimize sum(q^2)\noutput q\n"
    derivation = derive.parse(text).gradient().derivation
    assert not any("shifted" in s for s in derivation.stabilizations)
    z = np.array([0.3, -0.2, 1.1])
    np.testing.assert_allclose(evaluate(derivation.stable, {"z": z})["q"], (np.exp(z) + 1) / np.exp(z).sum())


def test_rows_with_different_shifts_are_not_mixed():
    text = "dims c=3\nparam Z:[5,c]\nE = exp(Z)\nS = sum(E, axis=1)\nQ[i, j] = E[i, 0] / S[j]\noutput Q\n"
    program = derive.parse(text).program
    z = np.random.default_rng(0).normal(size=(5, 3))
    want = np.exp(z[:, :1]) / np.exp(z).sum(1)
    np.testing.assert_allclose(evaluate(forward(program), {"Z": z})["Q"], want, rtol=1e-13)


def test_an_output_is_never_shifted():
    text = "dims c=3\nparam z:[c]\nE = exp(z)\nS = sum(E)\np = E / S\nminimize sum(p^2)\noutput E, p\n"
    derivation = derive.parse(text).gradient().derivation
    z = np.array([0.3, -0.2, 1.1])
    np.testing.assert_allclose(evaluate(derivation.stable, {"z": z})["E"], np.exp(z))


def test_masked_branches_have_no_zero_times_infinity():
    text = "param z:[3]\na = log(z) if z > 0 else z^2\nminimize sum(a)\noutput a\n"
    z = np.array([2.0, 0.0, -1.0])
    loss, gradients, _ = stable(text, {"z": z})
    assert loss == pytest.approx(np.log(2) + 1)
    np.testing.assert_allclose(gradients["z"], [0.5, 0, -2])


def test_stable_is_simplified(zoo, numeric):
    model, derivation = numeric.parsed(zoo), numeric.derived(zoo).derivation
    values = numeric.draw(model.program, 2)
    found, want = evaluate(derivation.stable, values), evaluate(derivation.formulas, values)
    for _, bar in derivation.formulas.gradients:
        np.testing.assert_allclose(found[bar.name], want[bar.name], rtol=1e-9, atol=1e-12)
    for t in (model.program.objective, *model.program.outputs):
        np.testing.assert_allclose(found[t.name], want[t.name], rtol=1e-10)


def test_the_forward_program_is_stable_too(numeric):
    program = derive.parse("dims c=3\ninput Z:[5,c]\nP = softmax(Z, axis=1)\nL = log(P)\noutput P, L\n").program
    found = evaluate(forward(program), {"Z": LOGITS})
    np.testing.assert_allclose(found["P"], softmax(LOGITS), atol=1e-15)
    np.testing.assert_allclose(found["L"], special.log_softmax(LOGITS, axis=1), atol=1e-12)


def test_what_fired_is_named(numeric):
    fired = numeric.derived(numeric.zoo["rows"]).derivation.stabilizations
    assert fired == ("log P: logarithm of a quotient taken apart", "S: exponentials shifted by their maximum")
    assert numeric.derived(numeric.zoo["quadratic"]).derivation.stabilizations == ()


EXP, LOG = PRIMITIVES["exp"], PRIMITIVES["log"]
x = Tensor("x", ()).at(())
LOCAL = {
    "log σ by softplus": call(LOG, power(1 + call(EXP, -x), -1)),
    "softplus without overflow": call(LOG, 1 + call(EXP, x)),
    "log cosh without overflow": call(LOG, call(PRIMITIVES["cosh"], x)),
    "log1p": call(LOG, 1 + x**2),
    "expm1": add(call(EXP, x), -1),
    "logistic quotient": mul(call(EXP, x), power(1 + call(EXP, x), num(-2))),
}


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_each_rule_by_itself(name, rule):
    e = LOCAL[name]
    better = rule(e, {})
    assert better is not None
    assert better != e
    for point in (-3.0, -0.1, 0.0, 0.4, 5.0):
        values = {x.tensor: np.array(point)}
        got, want = evaluate_expr(better, (), values, {}), evaluate_expr(e, (), values, {})
        assert float(got) == pytest.approx(float(want), rel=1e-12, abs=1e-15)
    assert rule(x * x, {}) is None
    if name in ("log1p", "expm1"):
        assert any(getattr(n, "function", None) in (LOG1P, EXPM1) for n in walk(better))
