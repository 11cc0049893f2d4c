"""A form equals its equation: every textbook shape, and random products, against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive import forms
from derive.contract import Lifted
from derive.evaluate import evaluate_expr, extent
from derive.expr import (
    ONE,
    Call,
    Compare,
    Dim,
    Expr,
    compare,
    fresh,
    mul,
    negate,
    num,
    power,
    reduce_,
    select,
    sum_over,
)
from derive.form_values import evaluate_form
from derive.functions import PRIMITIVES, Parameter, ScalarFunction
from derive.lift import lift
from derive.primes import Primes
from derive.program import Equation, Tensor, reads

SIZES = {"n": 5, "d": 2, "h": 3, "c": 7}
n, d, h, c = (Dim(x) for x in "ndhc")
N, D, H, C = (fresh(x, x.name) for x in (n, d, h, c))
C2, H2, N2 = fresh(c, "c"), fresh(h, "h"), fresh(n, "n")
X, W, Z, A, G, B = (
    Tensor("X", (n, d)),
    Tensor("W", (d, h)),
    Tensor("Z", (n, h)),
    Tensor("A", (n, h)),
    Tensor("dZ", (n, h), kind="cotangent"),
    Tensor("B", (h, c)),
)
P, Y, S, b, Q, x, y = (
    Tensor("P", (n, c)),
    Tensor("Y", (n, c)),
    Tensor("S", (n,)),
    Tensor("b", (h,)),
    Tensor("Q", (h, h)),
    Tensor("x", (h,)),
    Tensor("y", (h,)),
)
AD = Tensor("ad", (d,))
LONG = Tensor("long", (h * c,))
BC, BR, s = Tensor("bc", (h, ONE)), Tensor("br", (ONE, h)), Tensor("s", ())
exp, log = PRIMITIVES["exp"], PRIMITIVES["log"]
RELU = ScalarFunction("relu", ("x",), select(compare("<", 0, Parameter("x")), Parameter("x"), 0))


def data(e: Expr, seed: int = 0) -> dict[Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for t in reads(e):
        found[t] = rng.uniform(0.2, 2.0, tuple(extent(a, SIZES) for a in t.axes))
        if t.name in ("Z", "x", "dZ"):
            found[t] -= 1.1
    return found


def checked(letters, body: Expr, primes: Primes | None = None, *, diagonals: bool = False) -> forms.Form:
    """The form of an equation, after it was compared with the equation itself."""
    equation = Equation(Tensor("out", tuple(a.extent for a in letters)), tuple(letters), body)
    form = lift(equation, primes, diagonals=diagonals)
    assert form is not None
    assert form.axes == {a for a in letters if a.extent != ONE}
    values = data(body)
    want = evaluate_expr(body, tuple(letters), values, SIZES)
    np.testing.assert_allclose(evaluate_form(form, tuple(letters), values, SIZES), want, rtol=1e-12, atol=1e-13)
    return form


def kinds(form: forms.Form) -> set[str]:
    return {type(f).__name__ for f in forms.walk(form)}


u = fresh(ONE, "u")
ONES_AXIS = num(0)
CASES: dict[str, tuple[tuple, Expr]] = {
    "Xᵀ dZ": ((D, H), sum_over([N], X[N, D] * G[N, H])),
    "P Bᵀ": ((N, H), sum_over([C], P[N, C] * B[H, C])),
    "mask": ((N, H), G[N, H] * compare("<", 0, Z[N, H])),
    "(P − Y)/n": ((N, C), (P[N, C] - Y[N, C]) / n),
    "a(1 − a)": ((N, H), A[N, H] * (1 - A[N, H]) * G[N, H]),
    "1 − A²": ((N, H), 1 - A[N, H] ** 2),
    "softmax pullback": ((N, C), P[N, C] * (Y[N, C] - sum_over([C2], Y[N, C2] * P[N, C2]))),
    "column sums": ((H,), sum_over([N], G[N, H])),
    "row sums": ((N,), sum_over([H], G[N, H])),
    "affine": ((N, H), sum_over([D], X[N, D] * W[D, H]) + b[H]),
    "affine, columns": ((H, N), sum_over([D], W[D, H] * X[N, D]) + b[H]),
    "one sample": ((H,), sum_over([H2], Q[H, H2] * x[H2]) + b[H]),
    "cross entropy": ((), -sum_over([N, C], Y[N, C] * Call(log, P[N, C])) / n),
    "softmax": ((N, C), Call(exp, P[N, C]) / S[N]),
    "row maximum": ((N,), reduce_("max", [C], P[N, C])),
    "total maximum": ((), reduce_("max", [N, C], P[N, C])),
    "argmax": ((N,), reduce_("argmax", [C], P[N, C])),
    "product of a column": ((C,), reduce_("prod", [N], P[N, C])),
    "xᵀ Q y": ((), sum_over([H, H2], x[H] * Q[H, H2] * y[H2])),
    "xᵀ Q x": ((), sum_over([H, H2], x[H] * Q[H, H2] * x[H2])),
    "(Q + Qᵀ) x": ((H,), sum_over([H2], (Q[H, H2] + Q[H2, H]) * x[H2])),
    "outer": ((H, H2), x[H] * y[H2]),
    "below the diagonal": ((H, H2), Q[H, H2] * Compare("<", H2, H)),
    "above the diagonal, other order": ((H, H2), Q[H2, H] * Compare("<", H, H2)),
    "a band more": ((H, H2), -2 * Q[H, H2] * Compare("<=", H2, H + 1)),
    "triangle of ones": ((H, H2), Compare("<=", H2, H)),
    "triangle of a column": ((H, H2), Compare("<=", H2, H) * x[H]),
    "triangle of a row": ((H, H2), Compare("<=", H, H2) * x[H2] / s[()]),
    "triangle of an outer product": ((H, H2), Compare("<=", H, H2) * x[H2] * y[H]),
    "triangle of a wide matrix": ((N, H), Compare("<=", H, N) * Z[N, H] * A[N, H]),
    "triangle of a quotient": ((H, H2), Compare("<=", H, H2) * x[H2] * Q[H, H2] / y[H]),
    "two triangles": ((H, H2), Compare("<=", H, H2) * Compare("<=", H2, H + 1) * Q[H, H2]),
    "chosen by a triangle": ((H, H2), select(Compare("<=", H2, H), Q[H, H2], 2 * Q[H2, H])),
    "columns below each other": ((H, C), LONG[C * h + H]),
    "rows behind each other": ((H, C), 2 * LONG[H * c + C] * B[H, C]),
    "cumulative": ((H,), sum_over([H2], Compare("<=", H2, H) * x[H2])),
    "cumulative from the end": ((H,), sum_over([H2], Compare("<=", H, H2) * x[H2])),
    "cumulative without itself": ((H,), sum_over([H2], Compare("<", H2, H) * x[H2])),
    "cumulative down": ((H, C), sum_over([H2], Compare("<=", H2, H) * B[H2, C])),
    "cumulative along": ((C, H), sum_over([H2], Compare("<=", H, H2) * B[H2, C])),
    "cumulative along rows": ((N, H), sum_over([H2], Compare("<=", H2, H) * Z[N, H2])),
    "Lᵀ x": ((H,), sum_over([H2], Compare("<=", H, H2) * Q[H2, H] * x[H2])),
    "diagonal of a product": ((H,), sum_over([H2], Q[H, H2] * Q[H2, H])),
    "a diagonal on a square": ((H, H2), Q[H, H2] * x[H2] * Q[H2, H]),
    "diag": ((H, H2), compare("==", H, H2) * x[H]),
    "diag, other letter": ((H, H2), compare("==", H, H2) * x[H2]),
    "delta on a matrix": ((H, H2), compare("==", H, H2) * Q[H, H2] * x[H]),
    "identity": ((H, H2), compare("==", H, H2)),
    "bound delta": ((H,), sum_over([H2], compare("==", H, H2) * Q[H, H2] * x[H2])),
    "trace": ((), sum_over([H], Q[H, H])),
    "diagonal": ((H,), 2 * Q[H, H] * x[H]),
    "scaled trace": ((), s[()] * sum_over([H], Q[H, H]) / 3),
    "Aᵀ diag(S) dZ": ((H, H2), sum_over([N], A[N, H] * S[N] * G[N, H2])),
    "three matrices": ((N, C), sum_over([D, H], X[N, D] * W[D, H] * B[H, C])),
    "mean squares": ((), sum_over([N, C], (P[N, C] - Y[N, C]) ** 2) / (2 * n * c)),
    "squared norm": ((), sum_over([H], x[H] ** 2)),
    "weighted inner": ((), sum_over([H], x[H] * y[H] * b[H])),
    "inner quotient": ((), sum_over([H], x[H] / b[H])),
    "batch norm": ((N, H), (Z[N, H] - b[H]) / power(y[H], num(1) / 2)),
    "standard deviation": ((H,), power(sum_over([N], A[N, H] ** 2) / n + num(1) / 1000, num(1) / 2)),
    "constant matrix": ((N, H), s[()] / n),
    "a row repeated": ((N, H), x[H] * y[H]),
    "a number": ((H,), num(0)),
    "row and column quotient": ((N, H), S[N] / b[H]),
    "reciprocal": ((H,), 2 / b[H]),
    "bias [h, 1]": ((H, N), sum_over([D], W[D, H] * X[N, D]) + BC[H, ONES_AXIS]),
    "bias [1, h]": ((N, H), sum_over([D], W[D, H] * X[N, D]) + BR[ONES_AXIS, H]),
    "gradient [h, 1]": ((H, u), sum_over([N], G[N, H])),
    "gradient [1, h]": ((u, H), sum_over([N], G[N, H])),
    "unit letter": ((H, u), BC[H, u] * 2),
    "conditional": ((N, H), select(compare("<", 0, Z[N, H]), Z[N, H], Call(exp, Z[N, H]) - 1)),
    "complement": ((N, H), negate(compare("<", 0, Z[N, H])) * G[N, H]),
    "mask of a row": ((N, H), compare("<", 0, x[H]) * G[N, H]),
    "sum of a sum": ((D, H), sum_over([N], X[N, D] * (G[N, H] + A[N, H] * b[H]))),
    "rank three inside": ((N, D), sum_over([H], (X[N, D] + b[H]) * W[D, H])),
    "unused letter": ((N,), sum_over([C], S[N])),
    "exponent": ((N, H), power(A[N, H], x[H])),
    "two vectors, no link": ((), sum_over([N, H], S[N] * x[H])),
    "minus": ((H,), -x[H] * num(2) / 3),
    "row-weighted sum": ((H,), sum_over([N], S[N] * A[N, H] / b[H])),
    "pi": ((), s[()] * mul(num(2), s[()])),
}


@pytest.mark.parametrize("name", CASES)
def test_form_equals_equation(name):
    checked(*CASES[name])
    checked(*CASES[name], diagonals=True)


def test_triangles_are_named():
    assert kinds(checked(*CASES["below the diagonal"])) == {"Triangle", "Leaf"}
    assert kinds(checked(*CASES["Lᵀ x"])) == {"Product", "Transpose", "Triangle", "Leaf"}
    assert kinds(checked(*CASES["cumulative from the end"])) == {"Cumulative", "Leaf"}
    assert kinds(checked(*CASES["cumulative along rows"])) == {"Cumulative", "Leaf"}
    assert kinds(checked(*CASES["diagonal of a product"])) == {"Diagonal", "Product", "Leaf"}


def test_a_triangle_and_its_diagonal_are_one():
    body = sum_over([H2], Compare("<", H2, H) * Q[H, H2] * x[H2]) + Q[H, H] * x[H]
    assert kinds(checked((H,), body)) == {"Product", "Triangle", "Leaf"}
    body = Compare("<", H2, H) * Q[H, H2] + compare("==", H, H2) * Q[H, H2]
    assert kinds(checked((H, H2), body)) == {"Triangle", "Leaf"}


def test_shapes_of_forms():
    assert kinds(checked(*CASES["Xᵀ dZ"])) == {"Product", "Transpose", "Leaf"}
    assert kinds(checked(*CASES["column sums"])) == {"Product", "Transpose", "Ones", "Leaf"}
    assert "Diag" in kinds(checked(*CASES["Aᵀ diag(S) dZ"]))
    assert "Trace" in kinds(checked(*CASES["trace"]))
    assert "SquaredNorm" in kinds(checked(*CASES["mean squares"]))
    assert kinds(checked(*CASES["identity"])) == {"Identity"}
    assert kinds(checked(*CASES["diag"])) == {"Diag", "Leaf"}


JACOBIANS: dict[str, tuple[tuple, Expr, list[str]]] = {
    "diag(a (1 − a)) W": ((D, H), W[D, H] * AD[D] * (1 - AD[D]), ["Product", "Diag", "Leaf"]),
    "W diag(x)": ((D, H), W[D, H] * x[H], ["Product", "Leaf", "Diag"]),
    "diag(a) W diag(x)": ((D, H), 3 * W[D, H] * AD[D] * x[H], ["Scale", "Number", "Product", "Diag", "Leaf", "Diag"]),
    "diag(x) − x xᵀ": ((H, H2), x[H] * (compare("==", H, H2) - x[H2]), ["Sum", "Diag", "Leaf", "Negative", "Product"]),
    "−I": ((H, H2), -compare("==", H, H2), ["Negative", "Identity"]),
    "identity plus outer": ((H, H2), (compare("==", H, H2) + x[H] * y[H2]) / n, ["Quotient", "Sum", "Identity"]),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians_have_diagonals(name):
    letters, body, expected = JACOBIANS[name]
    form = checked(letters, body, diagonals=True)
    assert type(form).__name__ == expected[0]
    assert kinds(form) >= set(expected)
    repeated = [f for f in forms.walk(form) if isinstance(f, forms.Broadcast) and f.row and f.col]
    assert not repeated


def test_vector_layout_follows_the_unit_axis():
    column, row = checked(*CASES["gradient [h, 1]"]), checked(*CASES["gradient [1, h]"])
    assert (column.row, column.col) == (H, None)
    assert (row.row, row.col) == (None, H)


def test_named_derivative():
    forward = Equation(A, (N, H), Call(RELU, Z[N, H]))
    primes = Primes([forward])
    i, j = fresh(n), fresh(h)
    form = checked((i, j), G[i, j] * compare("<", 0, Z[i, j]), primes)
    assert "Prime" in kinds(form)
    tanh = Primes([Equation(A, (N, H), Call(PRIMITIVES["tanh"], Z[N, H]))])
    assert "Prime" not in kinds(checked((i, j), G[i, j] * (1 - A[i, j] ** 2), tanh))


def test_named_derivative_of_several_factors():
    swish = ScalarFunction("f", ("x",), select(compare("<", 0, Parameter("x")), Parameter("x") ** 2, 0))
    primes = Primes([Equation(A, (N, H), Call(swish, Z[N, H]))])
    form = checked((N, H), 2 * Z[N, H] * compare("<", 0, Z[N, H]) * G[N, H], primes)
    assert "Prime" in kinds(form)


T3, T4 = Tensor("T3", (n, h, c)), Tensor("t", (n,), dtype="int")
SHORT = fresh(h - 1, "i")
NONE = {
    "rank 3": ((N, H, C), T3[N, H, C]),
    "reads rank 3": ((N,), sum_over([H, C], T3[N, H, C])),
    "shifted": ((SHORT,), x[SHORT + 1] - x[SHORT]),
    "shorter range": ((SHORT,), 2 * x[SHORT]),
    "data-dependent": ((N,), P[N, T4[N]]),
    "fixed place": ((N,), P[N, num(0)]),
    "letter as value": ((H,), x[H] * H),
    "three matrices share": ((), sum_over([N, H, C, D], Z[N, H] * P[N, C] * X[N, D])),
}


@pytest.mark.parametrize("name", NONE)
def test_no_form_is_none(name):
    letters, body = NONE[name]
    equation = Equation(Tensor("out", tuple(a.extent for a in letters)), letters, body)
    found = lift(equation)
    if name == "three matrices share":  # a triple of row sums has a form after all
        checked(letters, body)
    else:
        assert found is None


POOL = [n, d, h]


@st.composite
def products(draw):
    """A random sum of a product of up to three accesses with letters over three extents, two of each."""
    letters = [fresh(e, f"{e.name}{k}") for e in POOL for k in range(2)]
    parts: list[Expr] = []
    for k in range(draw(st.integers(1, 3))):
        chosen = draw(st.lists(st.sampled_from(letters), min_size=0, max_size=2))
        access = Tensor(f"T{k}", tuple(a.extent for a in chosen)).at(chosen)
        shape = draw(st.sampled_from(["plain", "plain", "square", "inverse", "mask", "exp", "plus", "twice"]))
        made: dict[str, Expr] = {
            "plain": access,
            "square": access**2,
            "inverse": power(access, -1),
            "mask": compare("<", num(1), access),
            "exp": Call(exp, access),
            "plus": access + draw(st.sampled_from([ONE, n**-1])),
            "twice": -2 * access,
        }
        parts.append(made[shape])
    body = mul(*parts)
    present = sorted(body.letters, key=lambda a: a.key)
    free = draw(st.lists(st.sampled_from(letters), max_size=2, unique=True))
    bound = [a for a in present if a not in free]
    return tuple(free), sum_over(bound, body)


@settings(max_examples=150, deadline=None)
@given(products())
def test_random_products(case):
    letters, body = case
    equation = Equation(Tensor("out", tuple(a.extent for a in letters)), letters, body)
    if lift(equation) is not None:
        checked(letters, body)
        checked(letters, body, diagonals=True)


@settings(max_examples=60, deadline=None)
@given(products(), products())
def test_random_sums(one, other):
    letters, body = one
    if {a.extent for a in other[0]} != {a.extent for a in letters} or len(other[0]) != len(letters):
        return
    equation = Equation(Tensor("out", tuple(a.extent for a in letters)), letters, body + 3 * body**2)
    if lift(equation) is not None:
        checked(letters, equation.body)


def test_lifted_factor_is_opaque():
    factor = Lifted(forms.ones(H), 0)
    assert factor.letters == {H}
    assert factor.rebuild(()) is factor
