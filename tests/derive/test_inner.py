"""Derivatives inside a model: right, nested, mixed, per sample only where samples stay apart, and differentiable."""

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.inner import FORWARD, REVERSE, _written, asked
from derive.prepare import prepare
from derive.work import operations, step

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


MIXING = {
    "a mean over the batch": "U = x - mean(x)\nv = d(U, x)",
    "a normalization by the batch": "U = batch_norm(A1)\nv = d(U, x)",
    "attention along the batch": "P = softmax(A1 @ A1', axis=1)\nU = P @ A1\nv = d(U, x)",
    "the sample before": "U[i:n] = x[i-1 | 0]\nv = d(U, x)",
    "a maximum of all": "U = x / max(x)\nv = d(d(u, t), x) + d(U, x)",
}


@pytest.mark.parametrize("lines", MIXING.values(), ids=MIXING)
def test_samples_that_act_on_each_other_are_refused_where_it_is_asked_for(lines: str) -> None:
    with pytest.raises(SourceError, match="mixes samples") as caught:
        derive.parse(NET + lines + "\noutput v\n")
    assert caught.value.span is not None
    assert "d(U, x)" in caught.value.span.source.line(caught.value.span.line)


LAYERS = """dims L = 3, h = 4
batch m
input x : [m]
input t : [m]
param v : [2, h]
A{0} = sin(col(x) * v[0] + col(t) * v[1])
repeat l = 1..L
  param W{l} : [h, h]
  A{l} = tanh(A{l-1} @ W{l})
end
u = sum(A{L}, axis=1)
r = d(u, t) + d(d(u, x), x)
minimize mean(r^2)
"""


def test_layers_that_repeat_are_differentiated_through() -> None:
    model = derive.parse(LAYERS)
    rng = np.random.default_rng(3)
    shapes = {"x": 5, "t": 5, "v": (2, 4), **{f"W{k}": (4, 4) for k in (1, 2, 3)}}
    given = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    h = 1e-4
    at = [evaluate(model.program, {**given, "x": given["x"] + k * h})["u"] for k in (-1, 0, 1)]
    by_t = evaluate(model.program, {**given, "t": given["t"] + 1e-30j})["u"].imag / 1e-30
    np.testing.assert_allclose(
        evaluate(model.program, given)["r"], by_t + (at[0] - 2 * at[1] + at[2]) / h**2, atol=1e-6
    )
    gradient = model.gradient("W2")
    found = evaluate(gradient.derivation.stable, given)[gradient.derivation.results[0].name]
    at_one = np.zeros((4, 4), complex)
    at_one[2, 1] = 1e-30j
    loss = evaluate(model.program, {**given, "W2": given["W2"] + at_one})["loss"]
    assert found[2, 1] == pytest.approx(loss.imag / 1e-30, rel=1e-10)


def test_a_recurrence_has_derivatives_per_sample() -> None:
    text = """dims T = 4
batch n
input x : [n]
param w : [T]
H[0, i:n] = x[i]
H[t+1, i] = tanh(w[t] * H[t, i] + x[i])
u[i] = H[T, i]
v = d(d(u, x), x)
minimize mean(v^2)
"""
    model = derive.parse(text)
    x, h = np.array([0.3, -0.7, 1.1]), 1e-4
    at = [evaluate(model.program, {"x": x + k * h, "w": np.linspace(0.5, 1, 4)})["u"] for k in (-1, 0, 1)]
    np.testing.assert_allclose(
        evaluate(model.program, {"x": x, "w": np.linspace(0.5, 1, 4)})["v"],
        (at[0] - 2 * at[1] + at[2]) / h**2,
        atol=1e-6,
    )


# --- tangents travel together -----------------------------------------------------------------------------


def needed_names(text: str) -> list[str]:
    """The tensors that a training step computes before its gradient."""
    program = derive.parse(text).gradient().derivation.stable
    return [e.out.name for e in program.equations if e.out.kind == "value"]


def test_what_is_known_of_a_tensor_and_its_directions_is_found_again() -> None:
    model = derive.parse(NET + "a = d(d(u, x), t)\nb = d(d(u, t), x)\nc = d(u, x)\noutput a, b, c\n")
    names = [e.out.name for e in model.program.equations]
    assert "A1_xt" in names
    assert "A1_tx" not in names
    assert len(names) == len(set(names))
    bodies = [repr(e.body) for e in model.program.equations]
    assert len(bodies) - len(set(bodies)) <= 1  # b is a, and nothing else is made twice
    found = evaluate(model.program, values())
    np.testing.assert_allclose(found["a"], found["b"], rtol=1e-12)


HEAT = NET + "u_x = d(u, x)\nu_t = d(u, t)\nu_xx = d(u_x, x)\nr = u_t - 0.1*u_xx\nminimize mean(r^2)\n"


def test_a_combination_of_derivatives_travels_as_one() -> None:
    names = needed_names(HEAT)
    streams = [n for n in names if n.startswith("A")]
    assert streams == ["A1", "A2", "A1_x", "A2_x", "A1_r", "A2_r"]
    assert not {"u_t", "u_xx"} & set(names)


def test_what_the_author_named_keeps_its_value() -> None:
    model = derive.parse(HEAT)
    found = evaluate(model.program, values())
    np.testing.assert_allclose(found["r"], found["u_t"] - 0.1 * found["u_xx"], rtol=1e-11)
    assert model.program.tensor("u_x").hidden is False


def test_a_combination_is_found_inside_of_a_loss_too() -> None:
    short = NET + "minimize mean((d(u, t) - 0.1*d(d(u, x), x))^2)\n"
    streams = [n for n in needed_names(short) if n.startswith("A")]
    assert streams == ["A1", "A2", "A1_x", "A2_x", "A1_loss", "A2_loss"]
    both = [evaluate(derive.parse(text).program, values())["loss"] for text in (short, HEAT)]
    assert both[0] == pytest.approx(both[1], rel=1e-12)


BALL = """dims k = 4, h = 3
batch n
input x : [n, k]
param W1 : [k, h]
param W2 : [h, h]
param w3 : [h]
u = tanh(tanh(x @ W1) @ W2) @ w3
H = d(d(u, x), x)
"""
LAPLACIANS = {
    "a trace": BALL + "lap[n] = sum[i] H[n, i, i]\nminimize mean(lap^2)\n",
    "a trace with weights": BALL + "lap[n] = sum[i] i * H[n, i, i]\nminimize mean(lap^2)\n",
}


@pytest.mark.parametrize("text", LAPLACIANS.values(), ids=LAPLACIANS)
def test_a_laplacian_needs_no_hessian(text: str) -> None:
    program = derive.parse(text).gradient().derivation.stable
    k = program.dims[0].name
    assert all([repr(a) for a in e.out.axes].count(k) < 2 for e in program.equations), program.equations
    rng = np.random.default_rng(2)
    given = {"x": rng.normal(size=(5, 4)), "W1": rng.normal(size=(4, 3)), "W2": rng.normal(size=(3, 3))}
    given["w3"] = rng.normal(size=3)
    found = evaluate(derive.parse(text).program, given)
    weights = np.arange(4) if "i * H" in text else np.ones(4)
    np.testing.assert_allclose(found["lap"], np.einsum("nii,i->n", found["H"], weights), rtol=1e-11)
    h = 1e-4
    second = 0
    for i in range(4):
        at = [
            evaluate(derive.parse(text).program, {**given, "x": given["x"] + s * h * np.eye(4)[i]})["u"]
            for s in (-1, 0, 1)
        ]
        second += weights[i] * (at[0] - 2 * at[1] + at[2]) / h**2
    np.testing.assert_allclose(found["lap"], second, atol=1e-5)


def test_a_laplacian_is_one_stream_and_not_one_a_direction() -> None:
    program = derive.parse(LAPLACIANS["a trace"]).program
    summed = [e.out for e in program.equations if e.out.name.endswith("_lap")]
    assert len(summed) == 3
    assert all(sorted(map(repr, t.axes)) == ["h", "n"] for t in summed)


def test_derivatives_by_several_inputs_are_summed_as_they_travel() -> None:
    text = """dims h = 3
batch n
input x : [n]
input y : [n]
param w : [2, h]
param W2 : [h, h]
param w3 : [h]
A1 = tanh(col(x) * w[0] + col(y) * w[1])
A2 = tanh(A1 @ W2)
u = A2 @ w3
lap = d(d(u, x), x) + d(d(u, y), y)
minimize mean(lap^2)
"""
    streams = [n for n in needed_names(text) if n.startswith("A")]
    assert streams == ["A1", "A2", "A1_x", "A2_x", "A1_y", "A2_y", "A1_lap", "A2_lap"]


def test_functions_of_tangents_are_found_again() -> None:
    text = NET.replace("tanh(col", "sin(col") + "r = d(d(u, x), x) + d(d(u, t), t)\nminimize mean(r^2)\n"
    program = derive.parse(text).program
    calls = [e for e in program.equations if repr(e.body).startswith(("sin", "cos"))]
    assert len(calls) == 2


# --- which way --------------------------------------------------------------------------------------------


def ways(text: str) -> list[str]:
    return [c.way for c in derive.parse(text).program.choices]


def test_the_cheaper_way_is_chosen() -> None:
    assert ways(HEAT) == ["forward", "forward", "forward over forward"]
    wide = NET.replace("k = 2", "k = 2, d = 300").replace("input t : [n]", "input X : [n, d]")
    wide = wide.replace("W1 : [2, h]", "W1 : [d, h]").replace("col(x) * W1[0] + col(t) * W1[1]", "X @ W1")
    assert ways(wide + "g = d(u, X)\nminimize mean((sqrt(sum(g^2, axis=1)) - 1)^2)\n") == ["reverse"]


def test_the_choice_is_by_what_both_take() -> None:
    program = derive.parse(HEAT).program
    assert all(c.operations <= c.instead for c in program.choices)
    assert program.choices[0].operations == step(program)
    assert operations(program.equations, program) < step(program)


@pytest.mark.parametrize("first", [FORWARD, REVERSE])
@pytest.mark.parametrize("then", [FORWARD, REVERSE])
def test_every_way_gives_the_same(first: str, then: str) -> None:
    model = derive.parse(NET + "output u\n").program
    u, x, t = (model.tensor(n) for n in ("u", "x", "t"))
    one = asked("v", u, x, model.batch)
    two = asked("w", one.out, t, model.batch)
    extended = prepare(model.with_equations((*model.equations, one, two)))
    written, _ = _written(extended, {one.out: first, two.out: then})
    found = evaluate(written, values())
    want = evaluate(derive.parse(NET + "v = d(u, x)\nw = d(v, t)\noutput v, w\n").program, values())
    for name in ("v", "w"):
        np.testing.assert_allclose(found[name], want[name], rtol=1e-11)
