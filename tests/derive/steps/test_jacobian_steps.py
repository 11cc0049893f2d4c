"""Steps of Jacobians of any ranks, through intermediates; of Hessians, products with them, and tangents."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.steps import Steps
from derive.steps.directions import story_of
from derive.steps.step import Written

LAYER = "dims d = 3, h = 2\ninput x : [d]\nparam W : [h, d]\nparam b : [h]\nz = W @ x + b\na = sigmoid(z)\noutput a\n"
CHAIN = "param v : [2]\ng = [v[0]^2 + v[1], v[1]^3]\nf = [sin(g[0]), log(g[1])]\noutput f\n"
NEURON = (
    "dims d = 3\nparam w : [d]\ninput x : [d]\nparam b\nH = w * x\nS = sum(H)\nz = S + b\na = sigmoid(z)\noutput a\n"
)
MATRICES = "dims n = 2, d = 3, h = 5\nparam X : [n, d]\nparam W : [d, h]\nZ = X @ W\nA = tanh(Z)\noutput A\n"


def told(text: str, y: str, x: str) -> Steps:
    return derive.parse(text).jacobian(y, x).steps()


def own(steps: Steps, target: str) -> list[tuple[str, str]]:
    return [(s.rule, str(s)) for s in steps if s.target.name == target]


def test_a_layer_is_a_product_of_two_jacobians():
    steps = told(LAYER, "a", "x")
    found = dict(own(steps, "x"))
    assert found["Jacobian chain rule"] == "∂a/∂x = ∂a/∂z ∂z/∂x"
    assert found["product of Jacobians"] == "∂a/∂z ∂z/∂x = diag(a ⊙ (1 − a)) W"
    assert found["matrix form"] == "∂a/∂x = diag(a ⊙ (1 − a)) W"
    assert ("Jacobian", "∂z/∂x = W") in own(steps, "x")
    assert ("Jacobian", "∂a/∂z = diag(a ⊙ (1 − a))") in own(steps, "z")
    assert dict(own(told(LAYER, "a", "b"), "b"))["matrix form"] == "∂a/∂b = diag(a ⊙ (1 − a))"


def test_matrices_of_functions_are_written_out_and_multiplied():
    steps = told(CHAIN, "f", "v")
    assert ("Jacobian", "∂f/∂g = (cos(g[0]), 0; 0, 1/g[1])") in own(steps, "g")
    assert ("Jacobian", "∂g/∂v = (2 v[0], 1; 0, 3 v[1]²)") in own(steps, "v")
    product = next(s for s in steps if s.rule == "product of Jacobians")
    assert str(product) == "∂f/∂g ∂g/∂v = (cos(g[0]), 0; 0, 1/g[1]) (2 v[0], 1; 0, 3 v[1]²)"
    assert r"\begin{pmatrix}2\,v_{0} & 1 \\ 0 & 3\,v_{1}^{2}\end{pmatrix}" in product.tex[1]
    assert isinstance(steps[-1].after, Written)
    assert steps[-1].text[0] == "∂f/∂v"


def test_a_neuron_step_by_step_gives_rows():
    steps = told(NEURON, "a", "w")
    found = [str(s) for s in steps if s.rule in ("Jacobian", "Jacobian chain rule")]
    assert "∂S/∂H = 1_dᵀ" in found
    assert "∂H/∂w = diag(x)" in found
    assert "∂a/∂w = ∂a/∂H ∂H/∂w" in found
    assert str(steps[-1]) == "∂a/∂w = a (1 − a) xᵀ"


@pytest.mark.parametrize(
    ("x", "result"),
    [
        ("X", "∂A[n,h]/∂X[n′,d]"),
        ("W", "∂A[n,h]/∂W[d,h′]"),
    ],
)
def test_matrices_by_matrices_are_told_in_indices(x, result):
    steps = told(MATRICES, "A", x)
    rules = [s.rule for s in steps if s.target.name == x]
    assert rules[:3] == ["element", "total derivative", "derivative of terms"]
    assert rules[-2:] == ["substitute", "algebra"]
    total = next(s for s in steps if s.rule == "total derivative")
    assert total.text[0] == result
    assert "∂A[n,h]/∂Z[" in total.text[1]
    assert "dZ" not in str(steps)  # a derivative of A is called so, not like a cotangent


def test_the_last_step_is_the_jacobian():
    story = story_of(derive.parse(MATRICES).jacobian("A", "W").derivation)
    last, bench = story.told()[-1], story.teller.bench
    at = {t.name: a for t, a in bench.arrays.items()}
    slope = 1 - np.tanh(at["X"] @ at["W"]) ** 2
    wanted = np.einsum("nd,nh,hk->nhdk", at["X"], slope, np.eye(slope.shape[1]))
    np.testing.assert_allclose(bench.value(last.after, last), wanted, atol=1e-12)


@pytest.mark.parametrize("x", ["w", "x", "b"])
def test_a_derivative_that_acts_on_two_ways_is_a_total_one(x):
    text = "dims d = 3\nparam w : [d]\ninput x : [d]\nparam b\nu = w * x + b\nf = u * sin(w) * x * b\noutput f\n"
    steps = told(text, "f", x)
    total = next(s for s in steps if s.rule == "total derivative" and s.target.name == x)
    assert total.text[0].startswith("d(f[d])/d(")
    assert "∂f[" in total.text[1]
    assert r"\frac{\mathrm{d}f" in total.tex[0]
    if x != "b":
        assert "Jacobian" in {s.rule for s in steps}


def test_a_hessian_says_that_it_starts_from_a_derivative():
    text = "dims d = 3\nparam x : [d]\ninput A : [d, d]\nminimize sum(exp(A @ x))\n"
    model = derive.parse(text)
    steps = model.hessian("x").steps()
    assert "dx is a derivative itself" in (steps[0].note or "")
    assert [str(s) for s in steps if s.rule == "product of Jacobians"] == ["∂dx/∂S ∂S/∂x = Aᵀ diag(E) A"]
    product = model.hvp("x", mode="reverse").steps()
    total = next(s for s in product if s.rule == "total derivative")
    assert total.note == "d is the derivative of Σ_d′ dx[d′] x_dot[d′]"
    onward = model.tangent("x").steps()
    assert str(onward[1]) == "S_dot[d] = Σ_d″ ∂S[d]/∂x[d″] x_dot[d″]"


@pytest.mark.parametrize(
    ("text", "y", "x"),
    [
        ("dims n = 3, c = 2\nparam Z : [n, c]\nP = softmax(Z, axis=1)\noutput P\n", "P", "Z"),
        ("dims n = 3\nparam A : [n, n]\nB = A @ A'\noutput B\n", "B", "A"),
        ("dims n = 3\nparam A : [n, n]\nt = trace(A @ A)\noutput t\n", "t", "A"),
        ("dims n = 3\nparam x : [n]\nm = max(x)\noutput m\n", "m", "x"),
        ("dims n = 3\nparam x : [n]\nr = norm(x)\ny = x / r\noutput y\n", "y", "x"),
        ("dims a = 2, b = 3, c = 5\nparam T : [a, b, c]\nS[i,j] = sum[k] T[i,j,k]^2\noutput S\n", "S", "T"),
        ("dims n = 3, v = 5\ninput t : [n] labels(v)\nparam E : [v, 2]\nX[s,k] = E[t[s], k]\noutput X\n", "X", "E"),
        ("dims n = 3\nparam x : [n]\nparam y : [n]\nz = x * x\nq = y\noutput z, q\n", "z", "y"),
        ("param x\nparam y\nz = sin(x * y) + y\noutput z\n", "z", "y"),
    ],
)
def test_any_ranks_and_any_places(text, y, x):
    steps = told(text, y, x)
    assert steps
    assert steps[-1].target.name == x
    assert all(s.text[0] and s.text[1] and s.latex().isascii() for s in steps)
