"""Every function, loss and layer of the catalogue, emitted: differences, complex steps, and float32 against float64."""

from __future__ import annotations

import pytest
from catalogue import function_models, loss_models
from layer_models import layer_models

import derive
from codegen import verify

NET = """batch n
input X : [n, 1, 6, 6]
target Y : [n, 3] one_hot
A = conv2d(X, 2, 3, relu, pad=1)
B = max_pool2d(A, 2)
N = batch_norm(B)
P = softmax(flat_dense(N, 3), axis=1)
minimize cross_entropy(Y, P)
"""
MODELS = {**function_models(), **loss_models(), **layer_models()}


@pytest.mark.parametrize("name", MODELS)
def test_every_entry_is_right_by_every_method(name):
    result = verify.check(derive.parse(MODELS[name]), target="numpy")
    assert result.ok, str(result)
    assert {row.method for row in result.rows} == set(verify.TOLERANCES)


def test_a_net_of_layers_is_right_in_numba_as_well():
    model = derive.parse(NET)
    assert [t.name for t in model.program.parameters][-2:] == ["P_flat_dense_W", "P_flat_dense_b"]
    result = verify.check(model, target="numba")
    assert result.ok, str(result)
