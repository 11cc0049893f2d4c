"""Axes that count through a grid: what on_grid gives is equal at every place of it."""

from __future__ import annotations

import numpy as np
import pytest

from derive.evaluate import evaluate
from derive.expr import Dim, compare, fresh, sum_over
from derive.grids import grids, on_grid
from derive.program import DimDecl, Equation, Program, Tensor

M, N = Dim("m"), Dim("n")
X, Y, V = Tensor("x", (N,)), Tensor("y", (M,)), Tensor("v", (M * N,))


def value(body, letters, x, y, v):
    out = Tensor("out", tuple(a.extent for a in letters))
    program = Program(
        "grid", (DimDecl(M), DimDecl(N)), None, (X, Y, V), (Equation(out, letters, body),), outputs=(out,)
    )
    return evaluate(program, {"x": x, "y": y, "v": v})["out"]


def bodies(i, k, q):
    inside = compare("<=", N * k, i) * compare("<", i, N * (k + 1))
    j = fresh(M, "j")
    return {
        "a delta": Y[k] * X[q] * compare("==", i, N * k + q),
        "guards": X[i - N * k] * inside * X[q],
        "a sum": sum_over([j], compare("==", i, N * j + q) * Y[j]) * Y[k],
        "an entry": V[i] * Y[k] * X[q],
        "an order": compare("<=", i, N * k + q) * Y[k],
        "a shifted order": compare("<", i + 1, N * k) * X[q],
    }


@pytest.mark.parametrize("name", bodies(fresh(M * N), fresh(M), fresh(N)))
def test_the_value_stays(name):
    i, k, l, p, q = fresh(M * N, "i"), fresh(M, "k"), fresh(N, "l"), fresh(M, "p"), fresh(N, "q")
    body = bodies(i, k, l)[name]
    rng = np.random.default_rng(0)
    x, y, v = (rng.normal(size=n) for n in (3, 2, 6))
    whole = value(body, (i, k, l), x, y, v)
    split = value(on_grid(body, i, p, q), (p, q, k, l), x, y, v)
    np.testing.assert_array_equal(split.reshape(whole.shape), whole)


def test_orders_become_those_of_rows():
    i, k, p, q = fresh(M * N, "i"), fresh(M, "k"), fresh(M, "p"), fresh(N, "q")
    assert on_grid(compare("<=", N * k, i), i, p, q) == compare("<=", k, p)
    assert on_grid(compare("<", i, N * (k + 1)), i, p, q) == compare("<=", p, k)
    assert on_grid(compare("<", i, N * k), i, p, q) == compare("<", p, k)


def test_every_grid_of_an_axis():
    assert [(p.extent, q.extent) for p, q in grids(fresh(M * N**2))] == [
        (M, N**2), (N, M * N), (M * N, N), (N**2, M),
    ]  # fmt: skip
