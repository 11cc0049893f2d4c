"""Matrices are factored once and solved with; the routines agree with NumPy, also beyond one block."""

import numpy as np
import pytest

import codegen
import derive
from codegen.factors import factored
from codegen.plan import plan
from codegen.schedule import schedule
from codegen.steps import Routine

SYSTEM = "dims n = {n}, m = 3\nparam A : [n, n]\nparam B : [n, m]\nparam C : [m, n]\nparam v : [n]\n"
RESULTS = {
    "X = solve(A, B)": lambda A, B, C, v: np.linalg.solve(A, B),
    "X = solve(A', B)": lambda A, B, C, v: np.linalg.solve(A.T, B),
    "X = C @ inv(A)": lambda A, B, C, v: C @ np.linalg.inv(A),
    "X = C @ inv(A)'": lambda A, B, C, v: C @ np.linalg.inv(A).T,
    "X = solve(A, v)": lambda A, B, C, v: np.linalg.solve(A, v),
    "X = v @ inv(A)": lambda A, B, C, v: v @ np.linalg.inv(A),
    "X = inv(A) * A": lambda A, B, C, v: np.linalg.inv(A) * A,
    "X = det(A)": lambda A, B, C, v: np.linalg.det(A),
    "X = logdet(A)": lambda A, B, C, v: np.linalg.slogdet(A)[1],
    "X = logdet(A @ A')": lambda A, B, C, v: 2 * np.linalg.slogdet(A)[1],
    "X = solve(A + A', B)": lambda A, B, C, v: np.linalg.solve(A + A.T, B),
    "X = cholesky(A @ A')": lambda A, B, C, v: np.linalg.cholesky(A @ A.T),
    "L = cholesky(A @ A')\nX = solve(L, B)": lambda A, B, C, v: np.linalg.solve(np.linalg.cholesky(A @ A.T), B),
    "L = cholesky(A @ A')\nX = C @ inv(L)": lambda A, B, C, v: C @ np.linalg.inv(np.linalg.cholesky(A @ A.T)),
}


def values(n: int) -> dict[str, np.ndarray]:
    """Random matrices; A is close to a permutation, so that pivots count."""
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, n)) / np.sqrt(n) + 3 * np.eye(n)[::-1]
    return {"A": a, "B": rng.normal(size=(n, 3)), "C": rng.normal(size=(3, n)), "v": rng.normal(size=n)}


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_the_routines_agree_with_numpy(target):
    lines = "".join(f"{text}\n".replace("X", f"X{k}").replace("L", f"L{k}") for k, text in enumerate(RESULTS))
    outputs = ", ".join(f"X{k}" for k in range(len(RESULTS)))
    n = 130  # over three blocks
    net = codegen.compile(derive.parse(f"{SYSTEM.format(n=n)}{lines}output {outputs}"), target=target)
    given = values(n)
    found = net.forward(given)
    for k, (text, expected) in enumerate(RESULTS.items()):
        np.testing.assert_allclose(found[f"X{k}"], expected(**given), rtol=1e-8, atol=1e-10, err_msg=text)


def routines(text: str) -> list[tuple[str, str]]:
    """What is called for the gradient of a model: the names of the routines and how they factor."""
    model = derive.parse(text)
    derivation = model.gradient().derivation
    wanted = (*derivation.results, derivation.stable.objective)
    parts = schedule(derivation.stable, [t for t in wanted if t is not None], frozenset())
    return [(s.name, s.kind) for s in plan(parts, wanted).steps if isinstance(s, Routine)]


def test_no_inverse_where_a_system_can_be_solved():
    text = "dims n = 5, m = 3\nparam A : [n, n]\nparam B : [n, m]\nminimize sum(solve(A, B)^2)"
    names = [name for name, _ in routines(text)]
    assert "inverse" not in names
    assert names.count("factor") == 1
    assert sum(name.startswith("solve") for name in names) >= 2


def test_one_factor_serves_the_solution_the_determinant_and_the_inverse():
    text = "dims n = 5\nparam W : [n, n]\ninput y : [n]\nK = W @ W' + eye(n)\nminimize y' @ solve(K, y) + logdet(K)"
    assert routines(text).count(("factor", "symmetric")) == 1


def test_a_cholesky_factor_is_not_factored_again():
    text = "dims n = 5\nparam W : [n, n]\ninput y : [n]\nL = cholesky(W @ W' + eye(n))\nminimize sum(solve(L, y)^2)"
    kinds = {kind for name, kind in routines(text) if name == "factor"}
    assert kinds == {"lower"}


def test_parts_without_matrices_stay_as_they_are():
    program = derive.parse("dims n = 5\nparam x : [n]\nminimize sum(x^2)").program
    parts = schedule(program, [program.objective], frozenset())
    assert factored(parts, program) == parts


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_a_matrix_that_is_not_positive_definite_is_factored_all_the_same(target):
    text = "dims n = 4\nparam A : [n, n]\nparam b : [n]\nS = A + A'\nx = solve(S, b)\ny = logdet(S)\noutput x, y"
    net = codegen.compile(derive.parse(text), target=target)
    a = np.random.default_rng(1).normal(size=(4, 4))
    found = net.forward({"A": a, "b": np.ones(4)})
    np.testing.assert_allclose(found["x"], np.linalg.solve(a + a.T, np.ones(4)), rtol=1e-10)
    np.testing.assert_allclose(found["y"], np.linalg.slogdet(a + a.T)[1], rtol=1e-10)


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_there_is_no_factor_of_a_matrix_that_has_none(target):
    net = codegen.compile(derive.parse("dims n = 3\nparam A : [n, n]\nL = cholesky(A)\noutput L"), target=target)
    assert np.isnan(net.forward({"A": -np.eye(3)})["L"]).any()
