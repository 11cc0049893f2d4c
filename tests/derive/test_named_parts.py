"""Parts of a formula are read by the names they have: what is told is equal, and no longer."""

from __future__ import annotations

import derive
from derive.expr import Dim, call, compare, fresh, power, sum_over
from derive.functions import PRIMITIVES
from derive.named_parts import NamedParts
from derive.program import Equation, Tensor

n, h = Dim("n"), Dim("h")
i, j, k = fresh(n, "i"), fresh(h, "j"), fresh(n, "k")
A, G, Z = (Tensor(name, (n, h)) for name in "AGZ")
v, w = Tensor("v", (h,)), Tensor("w", (n,))
SLOPE = NamedParts([Equation(Z, (i, j), G[i, j] * A[i, j] * (1 - A[i, j]))])


def test_a_product_within_a_sum():
    b = fresh(n, "b")
    e = sum_over([b], G[b, j] * (A[b, j] - power(A[b, j], 2)) * w[b] * compare("==", b, k))
    assert SLOPE.read(e) == sum_over([b], Z[b, j] * w[b] * compare("==", b, k))


def test_only_at_its_own_place():
    e = G[i, j] * A[k, j] * (1 - A[k, j])
    assert SLOPE.read(e) is e
    shifted = G[i - 1, j] * A[i - 1, j] * (1 - A[i - 1, j])
    assert SLOPE.read(shifted) is shifted  # another round of a recurrence is not known to be there yet


def test_only_all_of_it():
    e = G[i, j] * (1 - A[i, j])
    assert SLOPE.read(e) is e


def test_two_accesses_may_tell_the_place():
    known = NamedParts([Equation(Z, (i, j), w[i] * v[j])])
    assert known.read(v[j] * w[i] * A[i, j]) == Z[i, j] * A[i, j]


def test_functions():
    sin = PRIMITIVES["sin"]
    known = NamedParts([Equation(Z, (i, j), call(sin, A[i, j] + 1))])
    assert known.read(call(sin, A[k, j] + 1) * G[k, j]) == Z[k, j] * G[k, j]


def test_a_unit_vector_has_its_name_in_its_jacobian():
    """‖x‖ is a choice, 0 or the root, for its slope alone: x/‖x‖ is read by its name all the same."""
    model = derive.parse("dims n\ninput x : [n]\ny = x / norm(x)")
    assert model.jacobian("y", "x").structure == "∂y/∂x = (I − y yᵀ)/‖x‖"


def test_the_last_two_layers_of_a_model_share_their_cotangent():
    text = (
        "dims h\nbatch m\ninput X : [m, h]\ntarget Y : [m, h]\nparam W : [h, h]\nA = tanh(X @ W)\nB = tanh(A @ W)\n"
        "minimize mse(Y, A + B)"
    )
    lines = [str(f) for f in derive.parse(text).gradient().formulas]
    assert any(line.startswith("dA = ") and line.endswith(" + dB") for line in lines)


def test_slopes_under_a_one_hot_mask():
    text = (
        "dims v, h\nbatch n\ninput t : [n] labels(v)\ninput X : [n, h]\ninput G : [n, h]\n"
        "param E : [v, h]\nparam U : [h, h]\n"
        "R[s, j] = sigmoid(E[t[s], j] + sum[k] X[s, k] * U[k, j])\nminimize sum(G * R^2)"
    )
    shown = derive.parse(text).gradient()
    assert shown["E"].index == "dE[k,j] = Σ_s 1[k = t[s]] dS[s,j]"
