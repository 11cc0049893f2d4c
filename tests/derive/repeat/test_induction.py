"""Gradients whose depth is a symbol: what is stated of layer l is proved, and holds at every depth in numbers."""

from __future__ import annotations

import pytest

import derive

ROWS = """\
dims L = 3, n{{0..L}} = [5, 7, 3, 2]
batch m
input X : [m, n{{0}}]
target Y : [m, n{{L}}]
A{{0}} = X
repeat l = 1..L
  param W{{l}} : [n{{l-1}}, n{{l}}] ~ glorot_uniform()
  param b{{l}} : [n{{l}}] ~ zeros()
  Z{{l}} = A{{l-1}} @ W{{l}} + b{{l}}
  A{{l}} = {activation}(Z{{l}})
end
minimize sum((A{{L}} - Y)^2) / (2*m)
"""
TIED = """\
dims L = 4, h = 3, d = 2, c = 5
batch m
input X : [m, d]
target Y : [m, c] one_hot
param U : [d, h] ~ normal(0, 1)
param W : [h, h] ~ normal(0, 1)
param V : [h, c] ~ normal(0, 1)
param g : [h] ~ normal(0, 1)
A{0} = tanh(X @ U)
repeat l = 1..L
  param b{l} : [h] ~ zeros()
  H{l} = A{l-1} @ W
  A{l} = tanh(H{l} + b{l}) + A{l-1} + g * A{0}
end
P = softmax(A{L} @ V + sum(W^2) * (X @ (U @ V)), axis=1)
minimize cross_entropy(Y, P)
"""
TWO_BACK = """\
dims L = 4, h = 3
batch m
input X : [m, h]
target Y : [m, h]
param g : [h] ~ normal(0, 1)
A{0} = X
A{1} = tanh(X * g)
repeat l = 2..L
  param W{l} : [h, h] ~ normal(0, 1)
  S{l} = A{l-1} @ W{l} + A{l-2} * g
  A{l} = tanh(S{l})
end
minimize mse(Y, A{L} + A{L-1})
"""
LAST_APART = """\
dims L = 3, n{0..L} = [5, 7, 3, 2]
batch m
input X : [m, n{0}]
target Y : [m, n{L}] one_hot
A{0} = X
repeat l = 1..L-1
  param W{l} : [n{l-1}, n{l}] ~ he_normal()
  param b{l} : [n{l}] ~ zeros()
  Z{l} = A{l-1} @ W{l} + b{l}
  A{l} = relu(Z{l})
end
param W{L} : [n{L-1}, n{L}] ~ he_normal()
param b{L} : [n{L}] ~ zeros()
Z{L} = A{L-1} @ W{L} + b{L}
A{L} = softmax(Z{L}, axis=1)
minimize cross_entropy(Y, A{L})
"""
SLOPES = {"sigmoid": "A{l} * (1 - A{l})", "tanh": "1 - A{l}^2", "relu": "(Z{l} > 0)", "softplus": "1 - exp(-A{l})"}


@pytest.mark.parametrize("activation", SLOPES)
def test_the_backward_recursion_for_any_activation(layered, activation):
    net = layered(ROWS.format(activation=activation))
    net.states("dZ{l}", f"dZ{{l+1}} @ W{{l+1}}' * ({SLOPES[activation]})")
    net.refutes("dZ{l}", f"dZ{{l+1}} @ W{{l+1}}' * ({SLOPES[activation]}) * 2")
    net.states("dZ{L}", f"dA{{L}} * ({SLOPES[activation].replace('{l}', '{L}')})")
    net.states("dA{L}", "(A{L} - Y) / m")
    net.states("dW{l}", "A{l-1}' @ dZ{l}")
    net.states("db{l}", "sum(dZ{l}, axis=0)")


def test_the_statement_of_another_layer_is_refused(layered):
    net = layered(ROWS.format(activation="tanh"))
    net.refutes("dW{l}", "(A{l-1} * 2)' @ dZ{l}")
    net.refutes("dZ{l}", "dZ{l+1} @ W{l+1}' * (1 - A{l})")
    net.refutes("dA{L}", "(A{L} - Y) * m")


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({}, ROWS.format(activation="sigmoid")),
        ({"L": 1, "n": [3, 2]}, ROWS.format(activation="sigmoid")),
        ({"L": 5, "n": [2, 3, 5, 2, 3, 2]}, ROWS.format(activation="tanh")),
        ({"L": 1}, TIED),
        ({"L": 3}, TIED),
        ({"L": 3}, TWO_BACK),
        ({"L": 4}, TWO_BACK),
        ({"L": 2, "n": [3, 5, 2]}, LAST_APART),
        ({"L": 4, "n": [3, 5, 2, 7, 3]}, LAST_APART),
    ],
)
def test_every_depth_has_the_gradients_of_complex_steps(layered, sizes, text):
    names = [t.name for t in derive.parse(text).sized(sizes)[0].program.parameters]
    layered(text, *[n for n in names if "L" not in sizes], *[]).holds_at(**sizes)


def test_a_layer_behind_the_repetition_joins_it_where_it_says_the_same(layered):
    net = layered(LAST_APART)
    assert str(net.symbolic).splitlines() == [
        "dZᴸ = (Aᴸ − Y)/m",
        "for l = L−1, …, 1:",
        "  dAˡ = dZˡ⁺¹ (Wˡ⁺¹)ᵀ",
        "  dZˡ = dAˡ ⊙ relu′(Zˡ)",
        "for l = 1, …, L:",
        "  dWˡ = (Aˡ⁻¹)ᵀ dZˡ",
        "  dbˡ = 1ᵀ dZˡ",
    ]


def test_what_every_round_reads_collects_its_gradient(layered):
    net = layered(TIED)
    net.states("dW{l}", "A{l-1}' @ dH{l} + dW{l+1}")
    net.states("dg{l}", "sum(A{0} * dA{l}, axis=0) + dg{l+1}")
    net.states("dA{l}", "dH{l+1} @ W' + dA{l+1}")


def test_two_rounds_back(layered):
    net = layered(TWO_BACK)
    net.states("dA{l}", "dS{l+1} @ W{l+1}' + dS{l+2} * g")
    net.states("dA{L-1}", "dS{L} @ W{L}' + 2 / (h*m) * (A{L} + A{L-1} - Y)")


def test_gradients_by_inputs(layered):
    net = layered(ROWS.format(activation="tanh"), "X", "W1")
    net.holds_at()
    assert net.gradient["X"].matrix == "dX = dA0"
    assert net.symbolic["X"].matrix == "dX = dA⁰"


def test_the_gradient_by_a_family_by_its_name(layered):
    model = derive.parse(ROWS.format(activation="tanh"))
    assert list(model.gradient("W")) == list(model.gradient("W{l}")) == ["W1", "W2", "W3"]
    assert str(model.gradient("W")["W{l}"]) == "dWˡ = (Aˡ⁻¹)ᵀ dZˡ"
    assert str(model.gradient("W")["W2"]) == "dW2 = A1ᵀ dZ2"


def test_where_the_depth_cannot_stay_a_symbol_the_gradient_is_derived_layer_by_layer(numeric):
    text = TIED.replace("A{L} @ V", "(A{L} + A{1}) @ V")
    model = derive.parse(text)
    gradient = model.gradient()
    assert gradient.symbolic is None
    assert model.repeated.why_not == "A{1} is read after the repetition"
    assert "dA1 = " in str(gradient)


def test_derivation_does_not_grow_with_depth(monkeypatch):
    calls: list[int] = []
    from derive.repeat import window

    plain = window.pullback
    monkeypatch.setattr(window, "pullback", lambda p, *rest: calls.append(len(p.equations)) or plain(p, *rest))
    model = derive.parse(ROWS.format(activation="tanh"))
    counts = []
    for depth in (2, 9):
        calls.clear()
        model.sized({"L": depth, "n": [2] * (depth + 1)})[0].gradient()
        counts.append(list(calls))
    assert counts[0] == counts[1]
