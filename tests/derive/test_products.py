"""Hessian products over all parameters: both ways to derive them agree, with each other and with complex steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from derive import pipeline
from derive.evaluate import evaluate
from derive.points import points, small_sizes
from derive.products import MODES, direction_of, hessian_product, price

MODELS = Path(__file__).resolve().parent.parent / "models"
NAMES = ["attention", "filter", "labels", "layers_tied", "max_pool", "norms", "rnn"]

TWO = "dims d, h\nparam W : [d, h]\nparam b : [h]\ninput x : [d]\nminimize sum(tanh(x @ W + b)^2)"


def at(program: derive.Program) -> dict[str, np.ndarray]:
    """Values for all that is declared."""
    return next(points(program, small_sizes(program, {}), 3, lambda p: True))


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_agree_with_each_other_and_with_complex_steps_of_the_gradient(name):
    program = derive.load(MODELS / f"{name}.gc").program
    first = pipeline.gradient(program, program.trained)
    directions = direction_of(first.formulas, program.trained)
    values, r = at(program), np.random.default_rng(5)
    along = {x.name: r.normal(size=values[x.name].shape) for x in program.trained}
    given = {**values, **{d.name: along[x.name] for x, d in directions.items()}}
    found = {}
    for mode in MODES:
        done = hessian_product(first, directions, mode)
        for stage in (done.raw, done.formulas, done.stable):
            everything = evaluate(stage, given)
            found[mode] = [everything[t.name] for t in done.results]
    moved = {**values, **{k: values[k] + 1e-30j * v for k, v in along.items()}}
    stepped = evaluate(first.raw, moved)
    want = [stepped[bar.name].imag / 1e-30 for bar in first.results]
    for one, two, right in zip(found["forward"], found["reverse"], want, strict=True):
        scale = max(1e-9, np.abs(right).max(initial=0))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(one, right, rtol=0, atol=1e-11 * scale)


def test_the_cheaper_way_is_taken_and_forward_of_equals():
    for text in (TWO, "dims d\nparam x : [d]\nminimize prod(x)"):
        first = pipeline.gradient(program := derive.parse(text).program, program.trained)
        directions = direction_of(first.formulas, program.trained)
        forward, reverse = (price(hessian_product(first, directions, mode)) for mode in MODES)
        found = price(hessian_product(first, directions))
        least = min(max(c.by_degree.items()) for c in (forward, reverse))
        assert max(found.by_degree.items()) == least
        assert found == (forward if max(forward.by_degree.items()) == least else reverse)


def test_a_product_over_several_variables_is_a_model_with_an_output_for_each():
    model = derive.parse(TWO)
    product = model.hvp()
    assert product.directions == {"W": "W_dot", "b": "b_dot"}
    assert [t.name for t in product.program.outputs] == ["result_W", "result_b"]
    assert product.direction is None
    values = {**at(model.program), "W_dot": np.ones((2, 3)), "b_dot": np.zeros(3)}
    found = product.evaluate(values)
    whole = model.hessian("W").result(values)
    np.testing.assert_allclose(found["result_W"], np.einsum("abcd,cd->ab", whole, np.ones((2, 3))), rtol=1e-12)
    assert str(product).startswith("result_W = ")


def test_of_one_variable_the_output_is_the_result_and_the_others_stay_where_they_are():
    model = derive.parse(TWO)
    for mode in MODES:
        product = model.hvp("b", mode=mode)
        assert product.direction == "b_dot"
        values = {**at(model.program), "b_dot": np.array([1.0, -2.0, 0.5])}
        want = model.hessian("b").result(values) @ values["b_dot"]
        np.testing.assert_allclose(product.result(values), want, rtol=1e-12)


def test_an_unknown_way_is_refused():
    with pytest.raises(derive.GradcError, match="forward or reverse, not sideways"):
        derive.parse(TWO).hvp("b", mode="sideways")


def test_what_would_be_one_long_formula_prints_as_steps():
    model = derive.load(MODELS.parent.parent / "examples" / "digits_rows.gc")
    lines = str(model.hvp("W1", "W2")).splitlines()
    assert lines[:2] == ["dZ2 = (P − Y)/n", "Z1_dot = X W1_dot"]
    assert lines[-1] == "result_W1 = Xᵀ dZ1_dot"
    assert len(lines) > 5
    short = derive.load(MODELS.parent.parent / "examples" / "logistic_regression.gc").hvp("w")
    assert str(short) == "result = (1/n) Xᵀ (p ⊙ (X w_dot) ⊙ (1 − p))"
