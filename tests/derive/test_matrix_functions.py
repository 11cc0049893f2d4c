"""Inverse, determinant, log-determinant, Cholesky factor: each slope proved by number, results as in the books."""

import numpy as np
import pytest

import derive
from derive.claims import PROVED, verify_formulas
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.matrix_functions import MATRIX_FUNCTIONS

SIZES = {"n": 5, "p": 3}
A, X = "dims n, p\nparam A : [n, n]\n", "dims n, p\nparam X : [n, p]\n"


def values(model: derive.ParsedModel, seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays; square ones are kept away from singular ones, promises are kept."""
    rng = np.random.default_rng(seed)
    found = {}
    for t in model.program.declared:
        a = rng.normal(size=[SIZES[repr(x)] for x in t.axes])
        if t.rank == 2 and a.shape[0] == a.shape[1]:
            a = a + 3 * np.eye(len(a))
        if t.is_symmetric:
            a = a + a.T
        if t.property("diagonal"):
            a = np.diag(np.diag(a))
        if t.property("orthogonal"):
            a = np.linalg.qr(a).Q
        found[t.name] = a
    return found


def agrees(text: str, *names: str) -> derive.formulas.Gradient:
    """The gradient, after each of its stages agreed with complex steps of the definition."""
    model = derive.parse(text)
    gradient, given = model.gradient(*names), values(model)
    assert model.program.objective is not None
    goal = model.program.objective.name
    for name in gradient:
        stepped = np.zeros_like(given[name])
        for place in np.ndindex(stepped.shape):
            moved = given[name].astype(complex)
            moved[place] += 1e-30j
            stepped[place] = evaluate(model.program, {**given, name: moved})[goal].imag / 1e-30
        d = gradient.derivation
        for program in (d.raw, d.formulas, d.stable):
            bar = next(b for t, b in program.gradients if t.name == name)
            found = evaluate(program, given)[bar.name]
            np.testing.assert_allclose(found, stepped, rtol=1e-9, atol=1e-10 * max(1, np.abs(stepped).max()))
    return gradient


@pytest.mark.parametrize("name", MATRIX_FUNCTIONS)
def test_the_slope_of_every_primitive(name):
    weighted = "sum(W * {})" if MATRIX_FUNCTIONS[name].rank else "sum(W) * {}"
    matrix = "A @ A' + eye(n)" if name == "cholesky" else "A"
    agrees(f"{A}input W : [n, n]\nminimize {weighted.format(f'{name}({matrix})')}", "A")
    if name == "cholesky":  # of a matrix that is not symmetric, that of its symmetric part
        agrees(f"{A}input W : [n, n]\nminimize sum(W * cholesky(A + 9*eye(n)))", "A")


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "logdet": (A + "minimize logdet(A)", "dA = A⁻ᵀ"),
        "Jacobi's formula": (A + "minimize det(A)", "dA = det(A) A⁻ᵀ"),
        "bilinear": (A + "param a : [n]\nparam b : [n]\nminimize a' @ inv(A) @ b", "dA = −A⁻ᵀ a bᵀ A⁻ᵀ"),
        "trace": (A + "input B : [n, n]\nminimize trace(inv(A) @ B)", "dA = −A⁻ᵀ Bᵀ A⁻ᵀ"),
        "Gram": (X + "minimize logdet(X' @ X)", "dX = 2 X (Xᵀ X)⁻¹"),
        "projection": (X + "minimize trace(X @ inv(X' @ X) @ X')", "dX = 0"),
        "hat matrix": (
            X + "param A : [n, n]\nminimize trace(X @ inv(X' @ X) @ X' @ A)",
            "dA = X (Xᵀ X)⁻¹ Xᵀ",
        ),
        "inverse twice": (A + "minimize logdet(inv(A))", "dA = −A⁻ᵀ"),
        "symmetric": ("dims n\ninput A : [n, n] symmetric\nparam x : [n]\nminimize x' @ inv(A) @ x", "dx = 2 A⁻¹ x"),
        "orthogonal": (
            "dims n, p\ninput Q : [n, n] orthogonal\nparam x : [n]\nminimize sum((Q @ x)^2)",
            "dx = 2 x",
        ),
        "factor": (A + "param b : [n]\nL = cholesky(A @ A')\nminimize sum(solve(L, b)^2)", "db = 2 L⁻ᵀ L⁻¹ b"),
    }.values(),
)
def test_the_form_of_the_books(text, expected):
    name = expected.partition(" ")[0][1:]
    assert str(agrees(text, name)[name]) == expected


def test_a_system_is_solved_by_both_sides():
    gradient = agrees("dims n, p\nparam A : [n, n]\nparam B : [n, p]\nY = solve(A, B)\nminimize sum(Y^3)", "A", "B")
    assert str(gradient["B"]) == "dB = A⁻ᵀ dY"


def test_an_orthogonal_matrix_is_inverted_by_its_transpose():
    text = "dims n\ninput Q : [n, n] orthogonal\nparam x : [n]\nminimize sum((inv(Q) @ x)^2)"
    assert str(agrees(text, "x")["x"]) == "dx = 2 x"


def test_a_diagonal_matrix_is_inverted_entry_by_entry():
    text = "dims n\ninput D : [n, n] diagonal\nparam x : [n]\nminimize x' @ inv(D) @ x / 2"
    assert "diag(D)" in str(agrees(text, "x")["x"])


def test_second_derivatives_of_a_log_determinant():
    model = derive.parse("dims n\nparam A : [n, n]\nminimize logdet(A)")
    hessian, given = model.hessian("A"), values(model)
    inverse = np.linalg.inv(given["A"])
    np.testing.assert_allclose(hessian.result(given), -np.einsum("lm,pk->klmp", inverse, inverse), rtol=1e-10)


@pytest.mark.parametrize("call", ["inv(B)", "det(B)", "logdet(x)", "solve(B, x)", "cholesky(B)"])
def test_what_is_not_square_is_refused(call):
    with pytest.raises(SourceError, match="square matrix"):
        derive.parse(f"dims n, p\nparam B : [n, p]\nparam x : [n]\nY = {call}\n")


def test_printed_forms_are_read_back():
    model = derive.parse(X + "param A : [n, n]\nparam b : [n]\nminimize logdet(X' @ X) + b' @ inv(A) @ b")
    lines = [
        "dX = 2 X (Xᵀ X)⁻¹",
        "db = A⁻ᵀ b + A⁻¹ b",
        "dA = −A⁻ᵀ b bᵀ A⁻ᵀ",
        "db = np.linalg.inv(A) @ b + solve(A', b)",
    ]
    for verdict in verify_formulas(model.program, lines):
        assert verdict.status == PROVED, str(verdict)


def test_a_wrong_inverse_is_refuted():
    model = derive.parse(X + "param A : [n, n]\nparam b : [n]\nminimize b' @ inv(A) @ b")
    [verdict] = verify_formulas(model.program, ["dA = −A⁻¹ b bᵀ A⁻¹"])
    assert not verdict.ok
