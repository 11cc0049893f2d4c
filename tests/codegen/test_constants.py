"""Constant arrays, given in the file or with the data: a fixed kernel, and a mask that is no sample's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

import codegen
import derive
from derive.errors import SourceError

SOBEL = """dims h = 8, v = 6
batch n
const K : [3, 3] = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
input X : [n, h, v]
input M : [h-2, v-2]
target y : [n]
param w : [h-2, v-2]
C[s,i,j] = sum[p,q] X[s,i+p,j+q] * K[p,q]
yhat = sum(sum(C * M * w, axis=2), axis=1)
minimize mse(y, yhat)
optimizer sgd(lr=0.002)
output C, yhat
"""
KERNEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_a_kernel_in_the_file_and_a_mask_in_the_data(target):
    r = np.random.default_rng(0)
    X, M = r.normal(size=(11, 8, 6)), (r.normal(size=(6, 4)) > 0).astype(float)
    C = np.stack([correlate2d(x, KERNEL, "valid") for x in X])
    y = (C * M).sum((1, 2)) / 10
    net = codegen.compile(derive.parse(SOBEL), dtype="float64", target=target)
    params = net.init_params(0)
    np.testing.assert_allclose(net.forward(params, X=X, M=M)["C"], C, atol=1e-12)
    history = net.fit(params, {"X": X, "M": M, "y": y}, epochs=40, batch_size=4)
    assert history[-1]["loss"] < history[0]["loss"] / 20
    assert not params["w"][M == 0].any()


def test_padding_outside_of_index_notation_says_how_to_write_it():
    with pytest.raises(SourceError, match="padding is for index notation") as found:
        derive.parse("dims n = 5\ninput x : [n]\ny = x[1:n | 0]")
    assert "y[i:n] = x[i-1 | 0]" in str(found.value)
