"""Recurrences: found from what reads what, evaluated round by round, differentiated by the one rule."""

import re

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.recurrence import Recurrence, blocks, in_order

RNN = """
dims T = 5, d = 3, h = 2
batch n
input X : [T, n, d]
input A : [n, h]
param W : [d, h]
param U : [h, h]
H[0, s, j] = A[s,j]
Z[t, s, j] = sum[k] H[t,s,k]*U[k,j] + sum[k] X[t,s,k]*W[k,j]
H[t+1, s, j] = tanh(Z[t,s,j])
minimize sum(H^2)
"""
SIZES = {"T": 5, "d": 3, "h": 2, "n": 7}


def drawn(model):
    rng = np.random.default_rng(0)
    shapes = {t.name: [SIZES[str(a)] for a in t.axes] for t in model.program.declared}
    return {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}


def by_hand(values):
    """The recurrence and its gradient as a textbook has them: back-propagation through time."""
    x, u, w = values["X"], values["U"], values["W"]
    h = [values["A"]]
    for t in range(5):
        h.append(np.tanh(h[t] @ u + x[t] @ w))
    loss = sum(np.sum(a**2) for a in h)
    dh, du, dw = 2 * h[5], np.zeros_like(u), np.zeros_like(w)
    for t in reversed(range(5)):
        dz = dh * (1 - h[t + 1] ** 2)
        du, dw = du + h[t].T @ dz, dw + x[t].T @ dz
        dh = 2 * h[t] + dz @ u.T
    return loss, {"U": du, "W": dw, "A": dh}


def test_two_lines_are_one_recurrence_along_time():
    loops = [b for b in blocks(derive.parse(RNN).program.equations) if isinstance(b, Recurrence)]
    assert [[e.out.name for e in loop.equations] for loop in loops] == [["H", "Z", "H_next"]]
    assert str(loops[0].extent) == "T + 1"
    assert loops[0].step == 1


@pytest.mark.parametrize("stage", ["raw", "formulas", "stable"])
def test_every_stage_of_the_gradient_is_back_propagation_through_time(stage):
    model = derive.parse(RNN)
    values = drawn(model)
    loss, expected = by_hand(values)
    assert np.isclose(float(np.asarray(model.evaluate(values)["loss"])), loss)
    program = getattr(model.gradient("U", "W", "A").derivation, stage)
    found = evaluate(program, values)
    for variable, bar in program.gradients:
        assert np.allclose(found[bar.name], expected[variable.name], rtol=1e-12)


def test_the_cotangents_recur_the_other_way():
    program = derive.parse(RNN).gradient("U").derivation.formulas
    steps = [b.step for b in blocks(program.equations) if isinstance(b, Recurrence)]
    assert steps == [1, -1]


def test_printed_as_written_and_backwards_as_textbooks_do():
    gradient = derive.parse(RNN).gradient("U")
    forward = str(derive.parse(RNN))
    assert "H[0,s,j] = A[s,j]" in forward
    assert "H[t + 1,s,j] = tanh(Z[t,s,j])" in forward
    assert str(gradient["U"]) == "dU[k,j] = Σ_{t<T,s} H[t,s,k] dZ[t,s,j]"


def test_what_several_cotangents_share_is_written_once():
    text = RNN.replace("Z[t, s, j] = ", "H[t+1, s, j] = tanh(").replace("*W[k,j]\n", "*W[k,j] + b[j])\n")
    text = text.replace("H[t+1, s, j] = tanh(Z[t,s,j])\n", "").replace("param U", "param b : [h]\nparam U")
    bars = [e for e in derive.parse(text).gradient().derivation.formulas.equations if e.out.kind == "cotangent"]
    slopes = [e for e in bars if "H_next[t, s, j]^2" in repr(e.body)]
    assert len(slopes) == 1


def test_second_derivatives_run_through_time_too():
    model = derive.parse(RNN)
    values = drawn(model)
    direction = np.random.default_rng(1).normal(size=(2, 2))
    twice = model.hvp("U")
    found = twice.result({**values, twice.direction: direction})
    step = 1e-5
    ends = [by_hand({**values, "U": values["U"] + s * step * direction})[1]["U"] for s in (1, -1)]
    assert np.allclose(found, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_states_that_step_together_have_as_many_rounds():
    text = "dims T = 7\ninput x : [T]\nu[0] = 1\nw[0] = 0\nu[t+1] = x[t] + u[t]*w[t]\nw[t+1] = u[t]\nminimize sum(w)"
    program = derive.parse(text).program
    assert [str(a) for t in ("u", "w") for a in program.tensor(t).axes] == ["T + 1", "T + 1"]
    assert len(in_order(program.equations)) == len(program.equations)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("H[0] = 1\nminimize sum(x)", "H starts here and never goes on"),
        ("H[1] = 1\nH[t+1] = x[t]\nminimize sum(x)", "H starts at place 0"),
        ("H[0] = 1\nH[t+2] = x[t]\nminimize sum(x)", "defines the place t+1"),
        ("H[0] = 1\nH[t+1] = H[t+1]*x[t]\nminimize sum(x)", "is read at the place t"),
        ("H[0] = 1\ns = sum(H)\nH[t+1] = H[t]*x[t]\nminimize sum(x)", "is whole after the line"),
        ("H[0] = 1\nH[t+1:T] = H[t]*sum[s:T] H[s]\nminimize sum(x)", "way of itself"),
    ],
)
def test_what_is_no_recurrence_is_refused_where_it_stands(lines, message):
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        derive.parse(f"dims T = 7\ninput x : [T]\n{lines}")
    assert caught.value.span is not None
