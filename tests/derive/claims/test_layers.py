"""Formulas about any layer: proved or refuted with the number of the layer as a symbol."""

from __future__ import annotations

import pytest

import derive
from derive.claims import PROVED, REFUTED
from derive.claims.layers import verify_lines

NET = """\
dims L = 3, n{0..L} = [5, 7, 3, 2]
batch m
input X : [n{0}, m]
target Y : [n{L}, m]
A{0} = X
repeat l = 1..L
  param W{l} : [n{l}, n{l-1}] ~ glorot_uniform()
  param b{l} : [n{l}] ~ zeros()
  Z{l} = W{l} @ A{l-1} + col(b{l})
  A{l} = sigmoid(Z{l})
end
minimize sum((A{L} - Y)^2) / (2*m)
"""


def verdicts(*lines: str) -> list[derive.claims.Verdict]:
    model = derive.parse(NET)
    return verify_lines(model.program, model.repeated, lines)


def test_the_equations_of_backpropagation_are_proved_for_any_layer():
    found = verdicts(
        "dZ{L} = (A{L} - Y)/m * A{L} * (1 - A{L})",
        "dZ{l} = (W{l+1}' @ dZ{l+1}) * A{l} * (1 - A{l})",
        "dW{l} = dZ{l} @ A{l-1}'",
        "db{l} = sum(dZ{l}, axis=1)",
        "dW2 = dZ2 @ A1'",
        "dW{l}[i, j] = sum[s] dZ{l}[i, s] * A{l-1}[j, s]",
    )
    assert [v.status for v in found] == [PROVED] * 6
    assert [v.line for v in found][4] == "dW2 = dZ2 @ A1'"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("dZ{l} = (W{l+1} @ dZ{l+1}) * A{l} * (1 - A{l})", "transpose"),
        ("dZ{l} = (W{l+1}' @ dZ{l+1}) * A{l} * (A{l} - 1)", "sign"),
        ("dZ{l} = (W{l+1}' @ dZ{l+1}) * A{l}", "missing factor"),
        ("db{l} = dZ{l}", "missing sum"),
        ("db{l} = sum(dZ{l}, axis=1) / m", "factor"),
        ("dZ{L} = (A{L} - Y) * A{L} * (1 - A{L})", "factor"),
    ],
)
def test_slips_are_found_in_any_layer(line, kind):
    (found,) = verdicts(line)
    assert (found.status, found.kind) == (REFUTED, kind)


def test_a_line_speaks_of_one_place():
    with pytest.raises(derive.GradcError, match="speaks of layer l or of the last layers, this one of L and l"):
        verdicts("dZ{l} = dZ{L}")
