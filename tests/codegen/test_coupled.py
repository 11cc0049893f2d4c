"""Hessians whose largest operand is made a slice at a time: without memory for it, and with the right numbers."""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from codegen.coupled import is_symmetric
from derive.expr import Dim, compare, fresh
from derive.program import Tensor

SOFTMAX = """dims d = 11, c = 7
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W : [d, c]
P = softmax(X @ W, axis=1)
minimize cross_entropy(Y, P)
"""
COUPLED = """dims d = 11, c = 7
batch n
input X : [n, d]
param W : [d, c]
Z = X @ W
minimize sum(exp(sum(Z, axis=1))*Z[:, 0])
"""


@pytest.mark.parametrize("text", [SOFTMAX, COUPLED])
@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_values(text, target):
    model = derive.parse(text).hessian("W")
    net = codegen.compile(model, target=target)
    rng = np.random.default_rng(3)
    values = {"X": rng.normal(size=(13, 11)) / 4, "W": rng.normal(size=(11, 7))}
    found = net.forward({"W": values["W"]}, X=values["X"])["result"]
    np.testing.assert_allclose(found, model.result(values), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found, found.transpose(2, 3, 0, 1), rtol=1e-12, atol=1e-14)


def test_a_softmax_regression_keeps_its_structure(tmp_path):
    path = tmp_path / "hessian.py"
    codegen.build(derive.parse(SOFTMAX).hessian("W"), path)
    text = path.read_text(encoding="utf-8")
    assert ".reshape((d, c, n, c))" not in text
    assert "in range(j + 1)" in text


def test_symmetry_is_found_not_assumed():
    n = Dim("n")
    x, i, j = Tensor("x", (n,)), fresh(n, "i"), fresh(n, "j")
    assert is_symmetric(x[i] * x[j] + compare("==", i, j) * x[j], i, j)
    assert not is_symmetric(x[i] * compare("<", i, j), i, j)
    assert not is_symmetric(x[i], i, fresh(Dim("m"), "j"))
