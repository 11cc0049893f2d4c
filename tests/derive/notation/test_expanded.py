"""Jacobians written out: every entry against complex steps of the model, in every layout, with and without sizes."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.errors import GradcError
from derive.evaluate import evaluate, evaluate_expr, extent, find_sizes
from derive.expr import Letter, num
from derive.form_values import evaluate_form
from derive.program import reads
from derive.rewrite import substitute

LAYER = """dims n = 5, l = 7
input x : [l]
param W : [n, l]
param b : [n]
z = W @ x + b
a = sigmoid(z)
t = tanh(z)
p = softmax(z)
r = W @ x - b
"""
NEURON = """dims d = 7
batch n
input X : [n, d]
target y : [n] binary
param w : [d]
param b
z = X @ w + b
a = sigmoid(z)
e = (y - a)^2
J = sum(e) / n
K = bce(y, a)
"""
BATCH = "dims k = 5\nbatch n\ninput L : [n, k]\nP = softmax(L, axis=1)\n"
PAIR = "dims n = 5\ninput u : [n] positive\ninput v : [n]\nc = u * v\ns = u @ v\nf = log(u) + exp(u)\n"

# name: model, y, x, places, the structure
CASES: dict[str, tuple[str, str, str, tuple | None, str | None]] = {
    "∂z/∂x": (LAYER, "z", "x", None, "W"),
    "∂z/∂b": (LAYER, "z", "b", None, "I"),
    "∂r/∂b": (LAYER, "r", "b", None, "−I"),
    "∂a/∂z": (LAYER, "a", "z", None, "diag(a ⊙ (1 − a))"),
    "∂a/∂b": (LAYER, "a", "b", None, "diag(a ⊙ (1 − a))"),
    "∂a/∂x": (LAYER, "a", "x", None, "diag(a ⊙ (1 − a)) W"),
    "∂t/∂x": (LAYER, "t", "x", None, "diag(1 − t∘²) W"),
    "∂p/∂z": (LAYER, "p", "z", None, "diag(p) − p pᵀ"),
    "∂z/∂w_i": (LAYER, "z", "W", (None, "i", None), None),
    "∂z/∂w_1": (LAYER, "z", "W", (None, 1, None), None),
    "∂z/∂w_3": (LAYER, "z", "W", (None, 3, None), None),
    "∂z/∂w_n": (LAYER, "z", "W", (None, "n", None), None),
    "∂a/∂w_i": (LAYER, "a", "W", (None, "i", None), None),
    "∂z/∂X_i": (NEURON, "z", "X", (None, "i", None), None),
    "∂z/∂w": (NEURON, "z", "w", None, "X"),
    "∂a/∂w": (NEURON, "a", "w", None, "diag(a ⊙ (1 − a)) X"),
    "∂z/∂b, neuron": (NEURON, "z", "b", None, "1ₙ"),
    "∂a/∂b, neuron": (NEURON, "a", "b", None, "a ⊙ (1 − a)"),
    "∂e/∂a": (NEURON, "e", "a", None, "2 diag(a − y)"),
    "∂J/∂e": (NEURON, "J", "e", None, "(1/n) 1ₙᵀ"),
    "∂J/∂a": (NEURON, "J", "a", None, "(2/n) (aᵀ − yᵀ)"),
    "∂K/∂a": (NEURON, "K", "a", None, None),
    "∂J/∂b": (NEURON, "J", "b", None, None),
    "∂P/∂L, one sample": (BATCH, "P", "L", ("i", None, "i", None), None),
    "∂P/∂L, two samples": (BATCH, "P", "L", (1, None, "n", None), None),
    "∂c/∂u": (PAIR, "c", "u", None, "diag(v)"),
    "∂s/∂u": (PAIR, "s", "u", None, "vᵀ"),
    "∂f/∂u": (PAIR, "f", "u", None, None),
}


def numerical(program, values, y, x):
    """∂y/∂x by complex steps of the forward program."""
    known = evaluate(program, values)
    start = np.asarray(known[x])
    shape = np.asarray(known[y]).shape
    out = np.zeros(shape + start.shape)
    equations = [e for e in program.equations if e.out.name != x]
    given = {t.name for t in program.declared}
    extra = [t for t in program.tensors if t.name == x and x not in given]
    cut = program.with_equations(equations, declared=(*program.declared, *extra))
    for place in np.ndindex(start.shape):
        moved = start.astype(complex)
        moved[place] += 1e-30j
        out[(..., *place)] = evaluate(cut, {**values, x: moved})[y].imag / 1e-30
    return out


def concrete(place, sizes, middle=2):
    """The number that a place stands for."""
    if isinstance(place, Letter):
        return middle
    return extent(place, sizes)


@pytest.mark.parametrize("layout", ["numerator", "shape"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_entry_is_the_derivative_there(name, full, layout, numeric):
    text, y, x, at, _ = CASES[name]
    model = numeric.parsed(text)
    values = numeric.draw(model.program)
    jacobian = model.jacobian(y, x)
    want = numerical(model.program, values, y, x)
    program = jacobian.derivation.formulas
    known = evaluate(program, values)
    arrays = {t: known[t.name] for t in program.tensors if t.name in known}
    sizes = find_sizes(program, arrays)
    for k, place in reversed(list(enumerate(at or ()))):
        if place is not None:
            number = 2 if place == "i" else want.shape[k] - 1 if isinstance(place, str) else place - 1
            want = np.take(want, number, axis=k)
    want = np.atleast_2d(want)
    rank = np.asarray(known[y]).ndim
    if rank == 0:
        want = want.T if (want.shape[0] == 1) == (layout == "shape") and want.size > 1 else want
    elif np.asarray(known[x]).ndim == 0:
        want = want.T
    if full and at and "i" in at and at.count("i") == 1:
        at = tuple(3 if p == "i" else p for p in at)
    shown = jacobian.expanded(layout, size=sizes if full else None, at=at)
    assert (None in (*shown.rows, *shown.columns)) != full or want.size == 1
    if full:
        assert (len(shown.rows), len(shown.columns)) == want.shape
    count = 0
    for row, line in zip(shown.rows, shown.entries, strict=True):
        for column, e in zip(shown.columns, line, strict=True):
            assert (e is None) == (row is None or column is None)
            if e is None:
                continue
            body = substitute(e, {a: num(2) for a in e.letters})
            found = evaluate_expr(body, (), arrays, sizes)
            expected = want[concrete(row, sizes), concrete(column, sizes)]
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
            count += 1
    assert count == want.size or not full


@pytest.mark.parametrize("name", [k for k, v in CASES.items() if v[4]])
def test_structure(name, numeric):
    text, y, x, _, structure = CASES[name]
    assert numeric.parsed(text).jacobian(y, x).structure == f"∂{y}/∂{x} = {structure}"


def test_elements(numeric):
    layer = numeric.parsed(LAYER)
    assert layer.jacobian("a", "z").element == "∂a_i/∂z_j = [i = j] a_i (1 − a_i)"
    assert layer.jacobian("p", "z").element == "∂p_i/∂z_j = ([i = j] − p_i) p_j"
    assert layer.jacobian("z", "W").element == "∂z_i/∂W_jk = [i = j] x_k"
    assert numeric.parsed(NEURON).jacobian("e", "a").element == "∂e_i/∂a_j = 2 [i = j] (a_i − y_i)"
    latex = layer.jacobian("z", "W").partial.latex_element()
    assert latex == r"\frac{\partial z_{i}}{\partial W_{jk}} = \left[i = j\right]\,x_{k}"


def test_places_count_from_one_in_conditions_too():
    model = derive.parse("dims n = 3\ninput x : [n]\nm = max(x)\nf = x[0]^2 + x[2]\n")
    assert model.jacobian("m", "x").element == "∂m/∂x_i = [i = argmax_j x_j]"
    first = str(model.jacobian("m", "x").expanded()).split("  ")[0]
    assert first == "∂m/∂x = ( [argmax_j x_j = 1]"
    assert "[i = 1]" in model.jacobian("f", "x").element
    assert str(model.jacobian("f", "x").expanded(size={"n": 3})) == "∂f/∂x = ( 2 x_1  0  1 )"


def test_an_axis_of_one_has_no_letter():
    model = derive.parse("dims h, d\ninput x : [d, 1]\nparam W : [h, d]\na = tanh(W @ x)\n")
    assert "[" not in model.jacobian("a", "x").element
    assert len(str(model.jacobian("a", "x").expanded()).splitlines()) == 4


def test_matrices_as_text(numeric):
    layer = numeric.parsed(LAYER)
    assert str(layer.jacobian("z", "b").expanded()).splitlines() == [
        "        ⎛ 1  0  ⋯  0 ⎞",
        "∂z/∂b = ⎜ 0  1  ⋯  0 ⎟",
        "        ⎜ ⋮  ⋮  ⋱  ⋮ ⎟",
        "        ⎝ 0  0  ⋯  1 ⎠",
    ]
    assert str(layer.jacobian("z", "W").expanded(at=(None, "i", None))).splitlines() == [
        "             ⎛  0    0   ⋯   0  ⎞",
        "             ⎜  ⋮    ⋮   ⋱   ⋮  ⎟",
        "∂z/∂W_{i·} = ⎜ x_1  x_2  ⋯  x_l ⎟",
        "             ⎜  ⋮    ⋮   ⋱   ⋮  ⎟",
        "             ⎝  0    0   ⋯   0  ⎠",
    ]
    gradient = numeric.parsed(NEURON).jacobian("J", "e")
    assert str(gradient.expanded()) == "∂J/∂e = ( 1/n  1/n  ⋯  1/n )"
    assert len(str(gradient.expanded("shape")).splitlines()) == 4


def test_latex_has_a_cell_for_every_place(numeric):
    shown = numeric.parsed(LAYER).jacobian("a", "x").expanded()
    text = shown.latex()
    assert text.startswith(r"\frac{\partial a}{\partial x} = \begin{pmatrix}")
    assert text.endswith(r"\end{pmatrix}")
    assert text.count(r"\\") == len(shown.rows) - 1
    assert text.count("&") == len(shown.rows) * (len(shown.columns) - 1)
    assert (text.count(r"\cdots"), text.count(r"\vdots"), text.count(r"\ddots")) == (3, 3, 1)


UNITS = {
    ("z", "W", (None, "i", None)): "∂z/∂W_{i·} = e_i xᵀ",
    ("z", "W", (None, 3, None)): "∂z/∂W_{3·} = e_3 xᵀ",
    ("a", "W", (None, "i", None)): "∂a/∂W_{i·} = (a ⊙ e_i ⊙ (1 − a)) xᵀ",
}


@pytest.mark.parametrize("case", UNITS)
def test_one_row_of_weights(case, numeric):
    y, x, at = case
    model = numeric.parsed(LAYER)
    partial = model.jacobian(y, x).partial
    assert partial.structure(at=at) == UNITS[case]
    values = numeric.draw(model.program)
    known = evaluate(model.program, values)
    equation = partial.at([None if p is None else str(p) for p in at])
    form = partial.notation.form(equation)
    arrays = {t: known[t.name] if t.name in known else np.eye(5)[2] for t in reads(equation.body)}
    found = evaluate_form(form, equation.letters, arrays, {"n": 5, "l": 7})
    np.testing.assert_allclose(found, numerical(model.program, values, y, x)[:, 2, :], rtol=1e-11, atol=1e-13)


def test_a_fixed_place_without_a_delta_has_no_structure(numeric):
    partial = numeric.parsed(LAYER).jacobian("p", "z").partial
    assert partial.structure(at=("i", None)) is None
    with pytest.raises(GradcError, match="at has 1 places"):
        partial.structure(at=("i",))


def test_large_sizes_keep_their_dots(numeric):
    shown = numeric.parsed(LAYER).jacobian("z", "x").expanded(size={"n": 3, "l": 40})
    assert [len(shown.rows), len(shown.columns)] == [3, 4]
    assert "W_{3,40}" in str(shown)


def test_hessian_is_written_out():
    model = derive.parse("dims d\nparam x : [d]\nminimize sum(x^4)\n")
    hessian = model.hessian("x")
    assert hessian.element == "∂dx_i/∂x_j = 12 [i = j] x_i²"
    assert hessian.structure == "∂dx/∂x = 12 diag(x∘²)"


def test_what_cannot_be_written_out_says_why(numeric):
    layer = numeric.parsed(LAYER)
    weights = layer.jacobian("z", "W")
    with pytest.raises(GradcError, match=r"has the axes \[n, n, l\]"):
        weights.expanded()
    with pytest.raises(GradcError, match="2 places, the Jacobian has 3 axes"):
        weights.expanded(at=(None, 1))
    with pytest.raises(GradcError, match="no place 0"):
        weights.expanded(at=(None, 0, None))
    with pytest.raises(GradcError, match="no place 6"):
        weights.expanded(at=(None, 6, None), size={"n": 5})
    with pytest.raises(GradcError, match="neither a place nor a letter"):
        weights.expanded(at=(None, "q7", None))
    with pytest.raises(GradcError, match="give a number instead of a letter"):
        weights.expanded(at=(None, "i", None), size={"n": 5, "l": 7})
    with pytest.raises(GradcError, match="no layout 'row'"):
        weights.expanded("row")
    with pytest.raises(GradcError, match="only a Jacobian or a Hessian"):
        layer.tangent("x", "z").expanded()
