"""Constants of a model: formulas write them by name, code and whoever checks a formula know their value."""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from derive.claims import PROVED, REFUTED, verify_formulas
from derive.evaluate import evaluate

HEAT = """
dims h = 3
batch n
input x : [n]
input t : [n]
param w : [h]
const nu = 0.1 / pi
u = tanh(col(x) * w) @ w + t
r = d(u, t) - nu * d(d(u, x), x)
minimize mean(r^2)
"""


def formula(text: str, name: str) -> str:
    return str(derive.parse(text).gradient(name)[name])


def of(constant: str, objective: str) -> str:
    return formula(f"dims d\nconst c = {constant}\ninput a : [d]\nparam x : [d]\nminimize {objective}", "x")


@pytest.mark.parametrize("value", ["0.3", "1/3", "3", "0.1 / pi", "sqrt(2)", "1e-12"])
def test_a_formula_writes_a_constant_by_its_name(value):
    assert of(value, "c * a @ x + c * sum(x^2)") == "dx = c (a + 2 x)"


@pytest.mark.parametrize(
    ("value", "objective", "text"),
    [
        ("1/2", "c * sum(x^2)", "dx = x"),  # 2 and 1/2 cancel
        ("2", "sum(x^2) / c", "dx = x"),
        ("1", "c * a @ x", "dx = a"),
        ("0", "c * a @ x + sum(x)", "dx = 1"),
        ("-0.3", "sum((c * x - a)^2)", "dx = (9/50) x + (3/5) a"),  # a sign is to be seen
        ("3", "sum(a * x^c)", "dx = 3 (a ⊙ x∘²)"),  # an exponent is a number
        ("0.3", "sum(x) * (1 if c < 1/2 else 5)", "dx = 1"),  # what they decide is decided
    ],
)
def test_its_value_stands_where_it_is_needed(value, objective, text):
    found = of(value, objective)
    assert found == text


def test_sizes_and_other_constants_take_the_value():
    model = derive.parse(
        "const k = 3\nconst l = 2*k\nconst e = 0.7\ndims d = k + l\n"
        "param x : [d] in 0..l ~ normal(0, e)\nminimize sum(e * x)\noptimizer sgd(lr=e/10)"
    )
    program = model.program
    x = program.tensor("x")
    assert program.dims[0].derived is None and model.sized({})[0].program.dims[0].default == 9  # noqa: PT018
    assert [str(b) for b in x.bounds] == ["0", "6"]
    assert str(dict(x.init.arguments)["std"]) == "7/10"
    assert str(dict(program.optimizers[0].arguments)["lr"]) == "7/100"
    assert str(model.gradient("x")["x"]) == "dx = e"


def test_nothing_else_is_called_like_a_constant():
    text = "dims d\nconst D = 0.3\nconst dx = 0.7\ninput a : [d]\nparam x : [d]\ny = D * tanh(dx * x * a)\n"
    gradient = derive.parse(text + "minimize sum(y^2)").gradient("x")
    names = [gradient.notation.names[e.out] for e in gradient.derivation.formulas.equations]
    assert not {"D", "dx"} & set(names)
    assert str(gradient["x"]).startswith("dx_ = ")


def test_the_derivatives_are_those_of_the_number():
    named = derive.parse(HEAT)
    number = derive.parse(HEAT.replace("const nu = 0.1 / pi\n", "").replace("nu", "(0.1 / pi)"))
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=5), "t": rng.normal(size=5)}
    w = rng.normal(size=3)
    found, want = (evaluate(m.gradient("w").program, {**data, "w": w})["dw"] for m in (named, number))
    np.testing.assert_allclose(found, want, rtol=1e-13)
    assert "nu" in str(named.gradient("w"))
    net = codegen.compile(named, target="numpy")
    np.testing.assert_allclose(net.loss_and_grad({"w": w}, **data)[1]["w"], want, rtol=1e-12)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("dw = 2 c w + c a", PROVED),
        ("dw = c (2 w + a)", PROVED),
        ("dw = (3/5) w + 0.3 a", PROVED),  # with its value
        ("dw = c w + c a", REFUTED),
        ("dw = (3/5) w + 0.31 a", REFUTED),
    ],
)
def test_a_claim_may_write_its_name_or_its_value(line, verdict):
    program = derive.parse("dims d\nconst c = 0.3\ninput a : [d]\nparam w : [d]\nminimize c * (a @ w + w @ w)").program
    (found,) = verify_formulas(program, [line])
    assert found.status == verdict


@pytest.mark.parametrize("form", ["matrix", "index", "python"])
def test_every_printed_formula_is_read_back(form):
    program = derive.parse(HEAT.replace("nu", "lambda")).program
    gradient = derive.parse(HEAT.replace("nu", "lambda")).gradient("w")
    lines = [getattr(gradient.notation, form)(e) for e in gradient.derivation.derived]
    found = verify_formulas(program, [line for line in lines if line])
    assert {f.status for f in found} == {PROVED}
