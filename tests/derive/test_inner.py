"""Derivatives inside a model: right, nested, mixed, per sample only where samples stay apart, and differentiable."""

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.evaluate import evaluate

NET = """batch n
dims h = 3, k = 2
input x : [n]
input t : [n]
param W1 : [2, h]
param W2 : [h, k]
param w3 : [k]
A1 = tanh(col(x) * W1[0] + col(t) * W1[1])
A2 = tanh(A1 @ W2)
u = A2 @ w3
"""


def values(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"x": (5,), "t": (5,), "W1": (2, 3), "W2": (3, 2), "w3": (2,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("by", ["x", "t"])
def test_the_derivative_per_sample(by: str) -> None:
    model = derive.parse(NET + f"v = d(u, {by})\noutput v\n")
    found = evaluate(model.program, values())
    stepped = evaluate(model.program, {**values(), by: values()[by] + 1e-30j})
    np.testing.assert_allclose(found["v"], stepped["u"].imag / 1e-30, rtol=1e-13)


def test_it_nests_and_mixes() -> None:
    model = derive.parse(NET + "v = d(d(u, x), t)\nw = d(d(u, t), x)\noutput v, w\n")
    found = evaluate(model.program, values())
    np.testing.assert_allclose(found["v"], found["w"], rtol=1e-12)


def test_a_loss_with_derivatives_has_a_gradient() -> None:
    model = derive.parse(NET + "r = d(u, t) - 0.1*d(d(u, x), x)\nminimize mean(r^2)\n")
    gradient = model.gradient("w3")
    found = evaluate(gradient.derivation.stable, values())[gradient.derivation.results[0].name]
    for place in range(2):
        step = np.zeros(2, complex)
        step[place] = 1e-30j
        loss = evaluate(model.program, {**values(), "w3": values()["w3"] + step})["loss"]
        assert found[place] == pytest.approx(loss.imag / 1e-30, rel=1e-11)


def test_shapes_are_u_then_x_with_the_batch_once() -> None:
    text = "dims a = 3, b = 2\nbatch n\ninput X : [n, a]\nparam W : [a, b]\nU = tanh(X @ W)\n"
    model = derive.parse(text + "J = d(U, X)\nG = d(U, W)\noutput J, G\n")
    assert [repr(x) for x in model.program.tensor("J").axes] == ["n", "b", "a"]
    assert [repr(x) for x in model.program.tensor("G").axes] == ["n", "b", "a", "b"]


def test_a_scalar_by_everything() -> None:
    model = derive.parse("dims a = 3\ninput x : [a]\nf = sum(x^3)\ng = d(f, x)\noutput g\n")
    np.testing.assert_allclose(evaluate(model.program, {"x": [1.0, 2.0, 3.0]})["g"], [3, 12, 27])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("v = d(x / sum(x), x)", "mixes samples"),
        ("v = d(u, x + 1)", "named tensor"),
        ("v = d(u)", "needs x"),
    ],
)
def test_refusals_point_at_the_call(line: str, word: str) -> None:
    with pytest.raises(SourceError, match=word) as caught:
        derive.parse(NET + line + "\noutput v\n")
    assert caught.value.span is not None
    assert caught.value.span.line == 11
