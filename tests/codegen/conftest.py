"""A two-layer network with softmax and cross-entropy, forward and backward, written down equation by equation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from derive.expr import Dim, call, compare, fresh, num, reduce_, sum_over
from derive.functions import PRIMITIVES
from derive.language.optimizers import catalogue
from derive.program import DimDecl, Equation, Initializer, OptimizerCall, Program, Property, Tensor

LOG, EXP = PRIMITIVES["log"], PRIMITIVES["exp"]


@pytest.fixture(scope="session", autouse=True)
def _compiled(pytestconfig: pytest.Config) -> Iterator[None]:
    """Keep what tests compile with pytest's own cache, so that a second run is fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADC_CACHE", str(pytestconfig.cache.mkdir("gradc")))
        yield


@pytest.fixture
def two_layers() -> Program:
    """The program, with sgd."""
    n, d, h, c = Dim("n"), Dim("d"), Dim("h"), Dim("c")
    X = Tensor("X", (n, d), "input")
    Y = Tensor("Y", (n, c), "target", properties=(Property("one_hot", 1),))
    W1 = Tensor("W1", (d, h), "param", init=Initializer("he_normal"))
    b1 = Tensor("b1", (h,), "param")
    W2 = Tensor("W2", (h, c), "param", init=Initializer("glorot_uniform"))
    b2 = Tensor("b2", (c,), "param")
    Z1, A1, Z2 = Tensor("Z1", (n, h)), Tensor("A1", (n, h)), Tensor("Z2", (n, c))
    M, E, S, P, L = Tensor("M", (n,)), Tensor("E", (n, c)), Tensor("S", (n,)), Tensor("P", (n, c)), Tensor("L", ())
    i, j, k, q = fresh(n, "i"), fresh(h, "j"), fresh(c, "k"), fresh(d, "q")
    forward = [
        Equation(Z1, (i, j), sum_over([q], X[i, q] * W1[q, j]) + b1[j]),
        Equation(A1, (i, j), compare("<", 0, Z1[i, j]) * Z1[i, j]),
        Equation(Z2, (i, k), sum_over([j], A1[i, j] * W2[j, k]) + b2[k]),
        Equation(M, (i,), reduce_("max", [k], Z2[i, k])),
        Equation(E, (i, k), call(EXP, Z2[i, k] - M[i])),
        Equation(S, (i,), sum_over([k], E[i, k])),
        Equation(P, (i, k), E[i, k] / S[i]),
        Equation(L, (), -sum_over([i, k], Y[i, k] * call(LOG, P[i, k])) / n),
    ]

    def cotangent(t: Tensor) -> Tensor:
        return Tensor(f"d{t.name}", t.axes, "cotangent", primal=t)

    dZ2, dA1, dZ1 = cotangent(Z2), cotangent(A1), cotangent(Z1)
    dW1, db1, dW2, db2 = cotangent(W1), cotangent(b1), cotangent(W2), cotangent(b2)
    backward = [
        Equation(dZ2, (i, k), (P[i, k] - Y[i, k]) / n),
        Equation(dW2, (j, k), sum_over([i], A1[i, j] * dZ2[i, k])),
        Equation(db2, (k,), sum_over([i], dZ2[i, k])),
        Equation(dA1, (i, j), sum_over([k], dZ2[i, k] * W2[j, k])),
        Equation(dZ1, (i, j), compare("<", 0, Z1[i, j]) * dA1[i, j]),
        Equation(dW1, (q, j), sum_over([i], X[i, q] * dZ1[i, j])),
        Equation(db1, (j,), sum_over([i], dZ1[i, j])),
    ]
    return Program(
        "hand_made",
        (DimDecl("d", 7), DimDecl("h", 5), DimDecl("c", 3)),
        n,
        (X, Y, W1, b1, W2, b2),
        (*forward, *backward),
        L,
        (P,),
        (OptimizerCall(catalogue()["sgd"], (("lr", num(1) / 10),)),),
        gradients=((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)),
    )
