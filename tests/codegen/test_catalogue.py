"""Every function, loss and layer of the catalogue, emitted: differences, complex steps, and float32 against float64."""

from __future__ import annotations

import pytest
from catalogue import function_models, loss_models
from layer_models import layer_models

import derive
from codegen import verify

MODELS = {**function_models(), **loss_models(), **layer_models()}


@pytest.mark.parametrize("name", MODELS)
def test_every_entry_is_right_by_every_method(name):
    result = verify.check(derive.parse(MODELS[name]), target="numpy")
    assert result.ok, str(result)
    assert {row.method for row in result.rows} == set(verify.TOLERANCES)
