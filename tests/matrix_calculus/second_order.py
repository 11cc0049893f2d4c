"""Hessians: problems with their closed forms."""

from __future__ import annotations

import numpy as np

from .problem import BOYD, COOKBOOK, HESSIAN, MAGNUS, Problem

TITLE = "Hessians"
PROBLEMS = (
    Problem(
        "A : [n, n], b : [n], x : [n]",
        "x' @ A @ x + b' @ x",
        "x",
        "A + Aᵀ",
        lambda A: A + A.T,
        f"{COOKBOOK}, eq. 98",
        "A + Aᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "A : [n, n] symmetric, b : [n], x : [n]",
        "x' @ A @ x / 2 - b' @ x",
        "x",
        "A",
        lambda A: A,
        "Nocedal & Wright, Numerical Optimization (2nd ed.), ch. 5",
        "A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n]",
        "sum((A @ x - b)^2)",
        "x",
        "2 Aᵀ A",
        lambda A: 2 * A.T @ A,
        f"{BOYD}, sec. A.4.4",
        "2 Aᵀ A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n], g",
        "sum((A @ x - b)^2) / 2 + g * sum(x^2) / 2",
        "x",
        "Aᵀ A + g I",
        lambda A, x, g: A.T @ A + g * np.eye(len(x)),
        f"{BOYD}, sec. 6.3.2",
        "Aᵀ A + g I",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], W : [m, m] symmetric, b : [m], x : [n]",
        "(A @ x - b)' @ W @ (A @ x - b)",
        "x",
        "2 Aᵀ W A",
        lambda A, W: 2 * A.T @ W @ A,
        f"{BOYD}, sec. A.4.4",
        "2 Aᵀ W A",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n]",
        "log(sum(exp(x)))",
        "x",
        "diag(softmax(x)) − softmax(x) softmax(x)ᵀ",
        lambda x: np.diag(np.exp(x)) / np.exp(x).sum() - np.outer(np.exp(x), np.exp(x)) / np.exp(x).sum() ** 2,
        f"{BOYD}, sec. 3.1.5",
        "(1/(1ᵀ exp(x))) diag(exp(x)) − (1/(1ᵀ exp(x))²) exp(x) exp(x)ᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n]",
        "sum(x^4)",
        "x",
        "12 diag(x∘²)",
        lambda x: np.diag(12 * x**2),
        f"{MAGNUS}, ch. 10",
        "12 diag(x∘²)",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n] positive",
        "sum(x * log(x))",
        "x",
        "diag(1 ⊘ x)",
        lambda x: np.diag(1 / x),
        f"{BOYD}, sec. 3.1.5",
        "diag(1 ⊘ x)",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n] positive",
        "-sum(log(x))",
        "x",
        "diag(1 ⊘ x∘²)",
        lambda x: np.diag(1 / x**2),
        f"{BOYD}, sec. 9.2",
        "diag(1 ⊘ x∘²)",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], y : [m] signs, x : [n]",
        "sum(log(1 + exp(-y * (A @ x))))",
        "x",
        "Aᵀ diag(sigmoid(y ⊙ (A x)) ⊙ (1 − sigmoid(y ⊙ (A x)))) A",
        lambda A, y, x: A.T @ np.diag(np.exp(y * (A @ x)) / (1 + np.exp(y * (A @ x))) ** 2) @ A,
        "Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2nd ed.), sec. 4.4.1",
        "Aᵀ diag(sigmoid(y ⊙ (A x)) ⊙ (1 − sigmoid(y ⊙ (A x)))) A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n]",
        "sum(exp(A @ x)) - b' @ A @ x",
        "x",
        "Aᵀ diag(exp(A x)) A",
        lambda A, x: A.T @ np.diag(np.exp(A @ x)) @ A,
        f"{BOYD}, sec. 7.1.1",
        "Aᵀ diag(exp(A x)) A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n]",
        "sum(sqrt((A @ x - b)^2 + 1))",
        "x",
        "Aᵀ diag((1 − dS∘²) ⊘ s) A",
        lambda A, b, x: A.T @ np.diag(((A @ x - b) ** 2 + 1) ** -1.5) @ A,
        f"{BOYD}, sec. 6.1.2",
        "Aᵀ diag(1 ⊘ √((A x − b)∘² + 1)∘³) A",
        kind=HESSIAN,
    ),
    Problem(
        "a : [n], b : [n], x : [n]",
        "(a' @ x) * (b' @ x)",
        "x",
        "a bᵀ + b aᵀ",
        lambda a, b: np.outer(a, b) + np.outer(b, a),
        f"{MAGNUS}, ch. 10",
        "a bᵀ + b aᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "a : [n], x : [n]",
        "(a' @ x)^2",
        "x",
        "2 a aᵀ",
        lambda a: 2 * np.outer(a, a),
        f"{MAGNUS}, ch. 10",
        "2 a aᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "a : [n], x : [n]",
        "exp(a' @ x)",
        "x",
        "loss a aᵀ",
        lambda a, x: np.exp(a @ x) * np.outer(a, a),
        f"{MAGNUS}, ch. 10",
        "exp(aᵀ x) a aᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n]",
        "(x' @ x)^2",
        "x",
        "4 ‖x‖² I + 8 x xᵀ",
        lambda x: 4 * (x @ x) * np.eye(len(x)) + 8 * np.outer(x, x),
        f"{MAGNUS}, ch. 10",
        "4 ‖x‖² I + 8 x xᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "A : [n, n] symmetric, x : [n]",
        "(x' @ A @ x)^2",
        "x",
        "4 (xᵀ A x) A + 8 A x xᵀ A",
        lambda A, x: 4 * (x @ A @ x) * A + 8 * np.outer(A @ x, A @ x),
        f"{MAGNUS}, ch. 10",
        "8 A x xᵀ A + 4 (xᵀ A x) A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n]",
        "log(sum(exp(A @ x + b)))",
        "x",
        "Aᵀ (diag(softmax(A x + b)) − softmax(A x + b) softmax(A x + b)ᵀ) A",
        lambda A, b, x: A.T @ (np.diag(_softmax(A @ x + b)) - np.outer(*[_softmax(A @ x + b)] * 2)) @ A,
        f"{BOYD}, sec. A.4.4",
        "Aᵀ (diag(softmax(A x + b)) − softmax(A x + b) softmax(A x + b)ᵀ) A",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m] positive, x : [n]",
        "log(b' @ exp(A @ x))",
        "x",
        "(1/(bᵀ exp(A x))) Aᵀ diag(b ⊙ exp(A x)) A − dx dxᵀ",
        lambda A, b, x: A.T @ (np.diag(_weighted(A, b, x)) - np.outer(*[_weighted(A, b, x)] * 2)) @ A,
        f"{BOYD}, sec. A.4.4, for a geometric program",
        "(1/(bᵀ exp(A x))) Aᵀ diag(b ⊙ exp(A x)) A − (1/(bᵀ exp(A x))²) Aᵀ (b ⊙ exp(A x)) (b ⊙ exp(A x))ᵀ A",
        kind=HESSIAN,
    ),
    Problem(
        "x : [n], a : [n]",
        "norm(x - a)",
        "x",
        "(I − dx dxᵀ)/loss",
        lambda x, a: _of_norm(np.eye(len(x)), x - a),
        f"{COOKBOOK}, eq. 130",
        "I/‖x − a‖ − (1/‖x − a‖³) (x − a) (x − a)ᵀ",
        kind=HESSIAN,
    ),
    Problem(
        "A : [m, n], b : [m], x : [n]",
        "norm(A @ x - b)",
        "x",
        "(Aᵀ A − dx dxᵀ)/loss",
        lambda A, b, x: _of_norm(A, A @ x - b),
        f"{COOKBOOK}, eq. 130, with the chain rule",
        "(1/‖A x − b‖) Aᵀ A − (1/‖A x − b‖³) Aᵀ (A x − b) (A x − b)ᵀ A",
        kind=HESSIAN,
    ),
)


def _of_norm(A: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The Hessian of ‖r‖, r = A x − b."""
    size = np.linalg.norm(r)
    return A.T @ A / size - np.outer(A.T @ r, A.T @ r) / size**3


def _softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


def _weighted(A: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """b ⊙ exp(A x), divided by its sum."""
    return b * np.exp(A @ x) / (b @ np.exp(A @ x))
