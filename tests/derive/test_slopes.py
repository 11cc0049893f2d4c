"""Slopes by many complex steps at once are those by central differences, through recurrences too."""

from __future__ import annotations

import numpy as np
import pytest

from derive import slopes
from derive.evaluate import evaluate, find_sizes

BY_DECLARED = [("rnn", "P", "U"), ("filter", "loss", "a"), ("conv_strided", "loss", "w")]


def prepared(numeric, model: str):
    """The program, values for it, its tensors by name, all arrays, and the sizes."""
    program = numeric.parsed(numeric.zoo[model]).program
    values = numeric.draw(program)
    found = evaluate(program, values)
    tensors = {t.name: t for t in program.tensors}
    arrays = {t: found[name] for name, t in tensors.items() if name in found}
    return program, values, tensors, arrays, find_sizes(program, {t: arrays[t] for t in program.declared})


@pytest.mark.parametrize("largest", [1, 10**6])
@pytest.mark.parametrize(("model", "out", "wrt"), BY_DECLARED)
def test_slopes_are_those_of_differences(model, out, wrt, largest, numeric, monkeypatch):
    monkeypatch.setattr(slopes, "_LARGEST", largest)
    program, values, tensors, arrays, sizes = prepared(numeric, model)
    u, x = tensors[out], tensors[wrt]
    slope = slopes.slope(program.equations, u, x, arrays, sizes)
    assert slope.shape == arrays[u].shape + arrays[x].shape
    want = numeric.central(program, values, wrt, out)
    np.testing.assert_allclose(slope.reshape(-1, *arrays[x].shape).sum(axis=0), want, rtol=1e-6, atol=1e-8)
    some = list(range(0, arrays[x].size, 2))
    few = slopes.slope(program.equations, u, x, arrays, sizes, some)
    np.testing.assert_array_equal(few, slope.reshape(*arrays[u].shape, -1)[..., some])


def test_a_tensor_on_the_way_may_be_moved_and_what_does_not_depend_stays(numeric):
    program, _, tensors, arrays, sizes = prepared(numeric, "rows")
    slope = slopes.slope(program.equations, tensors["Z2"], tensors["A1"], arrays, sizes)
    ones = np.eye(arrays[tensors["A1"]].shape[0])
    np.testing.assert_allclose(slope, np.einsum("hc,nm->ncmh", arrays[tensors["W2"]], ones), rtol=1e-12)
    assert not np.any(slopes.slope(program.equations, tensors["Z1"], tensors["A1"], arrays, sizes))
