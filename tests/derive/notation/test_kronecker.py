"""Derivatives by matrices as Kronecker products: the text as in Magnus and Neudecker, the factors by number."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate, find_sizes
from derive.form_values import evaluate_form
from derive.points import points, small_sizes

JACOBIANS = {
    "dims a, b, c\ninput X : [a, b]\nparam W : [b, c]\nY = X @ W": "∂vec(Y)/∂vec(W) = I ⊗ X",
    "dims a, b, c\ninput X : [b, c]\nparam W : [a, b]\nY = W @ X": "∂vec(Y)/∂vec(W) = Xᵀ ⊗ I",
    "dims b, c\ninput x : [b]\nparam W : [c, b]\nY = W @ x": "∂Y/∂vec(W) = xᵀ ⊗ I",
    "dims b, c\ninput x : [b]\nparam W : [b, c]\nY = x @ W": "∂Y/∂vec(W) = I ⊗ xᵀ",
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = outer(W, v)": "∂vec(Y)/∂W = v ⊗ I",
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = outer(v, W)": "∂vec(Y)/∂W = I ⊗ v",
    "dims b, c\nparam W : [b, c]\nY = W'": "∂vec(Y)/∂vec(W) = K",
    "dims b, c\nparam W : [b, c]\nY = 3*W": "∂vec(Y)/∂vec(W) = 3 I",
    "dims d\nparam W : [d, d]\nY = W @ W": "∂vec(Y)/∂vec(W) = I ⊗ W + Wᵀ ⊗ I",
    "dims d\nparam W : [d, d]\nY = inv(W)": "∂vec(Y)/∂vec(W) = −Yᵀ ⊗ Y",
    "dims b, c\nparam W : [b, c]\nY = W' @ W": "∂vec(Y)/∂vec(W) = I ⊗ Wᵀ + (Wᵀ ⊗ I) K",
    "dims a, b, c, d\ninput A : [a, b]\ninput B : [c, d]\nparam W : [b, c]\nY = A @ W @ B": (
        "∂vec(Y)/∂vec(W) = Bᵀ ⊗ A"
    ),
    # a vector that counts through a grid
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = kron(v, W)": "∂Y/∂W = v ⊗ I",
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = kron(W, v)": "∂Y/∂W = I ⊗ v",
    "dims b\nparam W : [b]\nY = kron(W, W)": "∂Y/∂W = W ⊗ I + I ⊗ W",
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = tanh(kron(v, W))": "∂Y/∂W = diag(1 − Y∘²) (v ⊗ I)",
    "dims a, b, c\ninput A : [a, b]\nparam W : [b]\ninput v : [c]\nY = kron(A @ W, v)": "∂Y/∂W = A ⊗ v",
    "dims a, b, c\ninput u : [a]\nparam W : [b]\ninput v : [c]\nY = kron(W, kron(u, v))": "∂Y/∂W = I ⊗ u ⊗ v",
    "dims a, b, c\ninput u : [a]\nparam W : [b]\ninput v : [c]\nY = kron(u, kron(W, v))": "∂Y/∂W = u ⊗ I ⊗ v",
    "dims a, b, c\ninput u : [a]\nparam W : [b]\ninput v : [c]\nY = kron(u, kron(v, W))": "∂Y/∂W = u ⊗ v ⊗ I",
    "dims a, b, c\ninput u : [a]\nparam W : [b]\ninput v : [c]\nY = kron(kron(u, W), v)": "∂Y/∂W = u ⊗ I ⊗ v",
    "dims a, b, c\ninput u : [a]\nparam W : [b]\ninput A : [c, b]\nY = -2*kron(kron(u, A @ W), u)": (
        "∂Y/∂W = −2 (u ⊗ A ⊗ u)"
    ),
    "dims a, b\ninput u : [a]\nparam W : [b]\nY = kron(kron(u, tanh(W)), u)": ("∂Y/∂W = u ⊗ diag(1 − tanh(W)∘²) ⊗ u"),
    "dims b\nparam W : [b]\nY = kron(kron(W, W), W)": "∂Y/∂W = I ⊗ W ⊗ W + W ⊗ I ⊗ W + W ⊗ W ⊗ I",
    "dims b, c\nparam W : [b]\ninput v : [c]\nY = kron(kron(W, v), kron(W, v))": (
        "∂Y/∂W = I ⊗ v ⊗ W ⊗ v + W ⊗ v ⊗ I ⊗ v"
    ),
    "dims a, b\ninput A : [a, b*b*b]\nparam W : [b]\nY = A @ kron(W, kron(W, W))": (
        "∂Y/∂W = A (I ⊗ W ⊗ W + W ⊗ I ⊗ W + W ⊗ W ⊗ I)"
    ),
    "dims b, c\nparam W : [b, c]\nY = vec(W)": "∂Y/∂vec(W) = I",
    "dims b, c\nparam W : [b, c]\nY = vec(W')": "∂Y/∂vec(W) = K",
    "dims a, b, c\ninput A : [a, b]\nparam W : [b, c]\nY = vec(A @ W)": "∂Y/∂vec(W) = I ⊗ A",
    "dims a, b, c\ninput A : [a, b*c]\nparam W : [b, c]\nY = A @ vec(W)": "∂Y/∂vec(W) = A",
    "dims a, b, c\ninput A : [a, b*c]\nparam W : [b, c]\nY = tanh(A @ vec(W'))": "∂Y/∂vec(W) = diag(1 − Y∘²) A K",
    "dims a, b, c\ninput A : [a, b*c]\nparam W : [b]\ninput v : [c]\nY = A @ kron(v, W)": "∂Y/∂W = A (v ⊗ I)",
    "dims a, b\ninput A : [a, b*b]\nparam W : [b]\nY = A @ kron(W, W)": "∂Y/∂W = A (W ⊗ I + I ⊗ W)",
}
HESSIANS = {
    "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c]\nparam W : [d, c]\nminimize mse(Y, X @ W)": (
        "∂vec(dW)/∂vec(W) = (2/(c n)) (I ⊗ (Xᵀ X))"
    ),
    "dims d\nparam W : [d, d]\nminimize logdet(W)": "∂vec(dW)/∂vec(W) = −(W⁻¹ ⊗ W⁻ᵀ) K",
    "dims m, d, c\ninput A : [m, d]\ninput B : [c, c]\nparam W : [d, c]\nminimize sum((A @ W @ B)^2)/2 + sum(W^2)": (
        "∂vec(dW)/∂vec(W) = (B Bᵀ) ⊗ (Aᵀ A) + 2 I"
    ),
    "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c] one_hot\nparam W : [d, c]\n"
    "minimize cross_entropy(Y, softmax(X @ W, axis=1))": (
        "∂vec(dW)/∂vec(W) = (1/n) Σ_i (diag(softmax(Wᵀ X_{i:}ᵀ)) − softmax(Wᵀ X_{i:}ᵀ) softmax(X_{i:} W))"
        " ⊗ (X_{i:}ᵀ X_{i:})"
    ),
    "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c] one_hot\nparam W : [d, c]\n"
    "P = softmax(X @ W, axis=1)\nminimize cross_entropy(Y, P)": (
        "∂vec(dW)/∂vec(W) = (1/n) Σ_i (diag(P_{i:}) − P_{i:}ᵀ P_{i:}) ⊗ (X_{i:}ᵀ X_{i:})"
    ),
}


def matrix_of(model: derive.DerivedModel) -> tuple[np.ndarray, np.ndarray]:
    """∂vec/∂vec from the form, and from the definition."""
    partial, program = model.partial, model.program
    values = next(points(program, small_sizes(program, {}), 2, lambda p: True))
    everything = evaluate(program, values)
    arrays = {t: np.asarray(everything[t.name]) for t in program.tensors if t.name in everything}
    sizes = find_sizes(program, arrays)
    rank = partial.y.rank
    whole = everything["result"]
    ys, xs = whole.shape[:rank], whole.shape[rank:]

    def vec(axes: tuple[int, ...], start: int) -> list[int]:
        return [start + k for k in reversed(range(len(axes)))]

    order = np.transpose(whole, [*vec(ys, 0), *vec(xs, rank)]).reshape(int(np.prod(ys)), int(np.prod(xs)))
    form = partial.vectorized()
    assert form is not None
    letters = tuple(a for a in (form.row, form.col) if a is not None)
    return evaluate_form(form, letters, arrays, sizes), order


@pytest.mark.parametrize("text", JACOBIANS)
def test_jacobians(text):
    model = derive.parse(text).jacobian("Y", "W")
    assert model.structure == JACOBIANS[text]
    np.testing.assert_allclose(*matrix_of(model), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", HESSIANS)
def test_hessians(text):
    model = derive.parse(text).hessian("W")
    assert model.structure == HESSIANS[text]
    np.testing.assert_allclose(*matrix_of(model), rtol=1e-10, atol=1e-12)


def test_latex():
    model = derive.parse(next(iter(JACOBIANS))).jacobian("Y", "W")
    assert model.partial.structure(latex=True) == (
        r"\frac{\partial \operatorname{vec}\left(Y\right)}{\partial \operatorname{vec}\left(W\right)} = I \otimes X"
    )


def test_a_sum_of_kronecker_products_in_latex():
    shown = derive.parse(list(HESSIANS)[-1]).hessian("W").partial.structure(latex=True)
    assert shown is not None
    assert shown.endswith(
        r"\sum_{i}\,\left(\operatorname{diag}\left(P_{i:}\right) - P_{i:}^{\top}\,P_{i:}\right)"
        r" \otimes \left(X_{i:}^{\top}\,X_{i:}\right)"
    )


def test_what_depends_on_the_entry_stands_in_front():
    text = "dims a, b, c\ninput X : [a, b]\nparam W : [b, c]\nY = tanh(X @ W)"
    shown = derive.parse(text).jacobian("Y", "W").structure
    assert shown == "∂vec(Y)/∂vec(W) = diag(vec(1 − Y∘²)) (I ⊗ X)"


def test_what_does_not_fall_apart_has_none():
    text = "dims a, b\nparam W : [a, b]\nY = softmax(W, axis=1)"
    assert derive.parse(text).jacobian("Y", "W").structure is None


@pytest.mark.parametrize(
    "text", [*JACOBIANS, *HESSIANS, "dims a, b, c\ninput X : [a, b]\nparam W : [b, c]\nY = tanh(X @ W)"]
)
def test_the_numpy_text_runs(text):
    """It gives the array of all entries, in the axes' own order."""
    parsed = derive.parse(text)
    model = parsed.hessian("W") if text in HESSIANS else parsed.jacobian("Y", "W")
    program = model.program
    values = next(points(program, small_sizes(program, {}), 2, lambda p: True))
    everything = evaluate(program, values)
    sizes = find_sizes(program, {t: np.asarray(everything[t.name]) for t in program.tensors if t.name in everything})
    line = model.partial.python()
    assert line is not None
    space = {"np": np, **sizes, **everything, "result": None}
    exec(line, space)
    np.testing.assert_allclose(space["result"], everything["result"], rtol=1e-10, atol=1e-12)
