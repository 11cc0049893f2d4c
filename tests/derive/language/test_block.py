"""Blocks: what a use is written out to, the names it takes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.language import blocks
from derive.language.blocks import expanded
from derive.language.parse import parse
from derive.language.text import text

HEAD = """dims d = 3, h = 5
batch n
input X : [n, d]
input G : [n, d]
"""
LAYER = """block layer(x; p, q)
  param W : [p, q] ~ he_normal()
  Z = x @ W
  return Z
end
"""
PAIR = """block pair(x)
  S = x + 1
  C = 2 * S
  return S, C
end
"""


def written(lines: str) -> list[str]:
    """The lines of the model without blocks, after those of the head."""
    return text(expanded(parse(HEAD + lines))).splitlines()[4:]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (LAYER + "H = layer(X, d, h)", ["param H_W : [d, h] ~ he_normal()", "H = X @ H_W"]),
        (LAYER + "H = layer(X, q=2*h, p=d)", ["param H_W : [d, 2*h] ~ he_normal()", "H = X @ H_W"]),
        (LAYER + "H = layer(X + G, d, h)", ["H_x = X + G", "param H_W : [d, h] ~ he_normal()", "H = H_x @ H_W"]),
        (
            LAYER + "H = tanh(layer(X, d, d) + layer(G, d, d))",
            [
                "param H_layer_W : [d, d] ~ he_normal()",
                "H_layer = X @ H_layer_W",
                "param H_layer_2_W : [d, d] ~ he_normal()",
                "H_layer_2 = G @ H_layer_2_W",
                "H = tanh(H_layer + H_layer_2)",
            ],
        ),
        (PAIR + "P = pair(X)\nU = P_S * P_C", ["P_S = X + 1", "P_C = 2 * P_S", "U = P_S * P_C"]),
        ("block f(x, g)\ny = g(x)^2\nreturn y\nend\nA = f(X, tanh)", ["A = tanh(X)^2"]),
        ("block f(x)\nparam W : [d, d]\nd = x @ W\nreturn d\nend\nA = f(X)", ["param A_W : [A, A]", "A = X @ A_W"]),
        (
            LAYER + "block two(x; p)\nA = layer(x, p, p)\nY = layer(A * A_Z2, p, p)\nA_Z2 = 1\nreturn Y\nend\n",
            [],
        ),
        (
            LAYER + "block two(x; p)\nA = layer(x, p, p)\nY = layer(A, p, p)\nreturn Y\nend\nB = two(X, d)",
            [
                "param B_A_W : [d, d] ~ he_normal()",
                "B_A = X @ B_A_W",
                "param B_Y_W : [d, d] ~ he_normal()",
                "B = B_A @ B_Y_W",
            ],
        ),
        (
            PAIR + "block q(x)\nP = pair(x)\nY = P_S + P_C\nreturn Y\nend\nB = q(X)",
            ["B_P_S = X + 1", "B_P_C = 2 * B_P_S", "B = B_P_S + B_P_C"],
        ),
        ("block f(x)\ny[G, h] = x[G, h]\nreturn y\nend\nA = f(X)", ["A[G, h] = X[G, h]"]),
        ("block f(x; m)\ny[i] = sum[j:m+1] x[i,j]\nreturn y\nend\nA = f(X, d-1)", ["A[i] = sum[j:(d-1)+1] X[i, j]"]),
    ],
)
def test_a_use_is_written_out_under_names_of_its_own(lines, expected):
    assert written(lines) == expected


def test_in_a_repetition_its_parameters_are_members_of_families():
    lines = written(LAYER + "A{0} = X\nrepeat l = 1..3\n  A{l} = layer(A{l-1} + 1, d, d)\nend")
    assert lines == [
        "A{0} = X",
        "repeat l = 1..3",
        "  A_x{l} = A{l-1} + 1",
        "  param A_W{l} : [d, d] ~ he_normal()",
        "  A{l} = A_x{l} @ A_W{l}",
        "end",
    ]


def test_a_layer_apart_belongs_to_the_same_family():
    lines = written(LAYER + "A{0} = X\nA{1} = layer(A{0}, d, h)\nrepeat l = 2..3\n  A{l} = layer(A{l-1}, h, h)\nend")
    assert [line.strip() for line in lines if "param" in line] == [
        "param A_W{1} : [d, h] ~ he_normal()",
        "param A_W{l} : [h, h] ~ he_normal()",
    ]


def test_the_gradient_of_repeated_blocks_keeps_the_depth_a_symbol():
    model = derive.parse(
        "dims L = 3, h = 2\nbatch n\ninput X : [n, h]\n"
        "block unit(x; h)\nparam W : [h, h] ~ he_normal()\nA = tanh(x @ W) + x\nreturn A\nend\n"
        "A{0} = X\nrepeat l = 1..L\nA{l} = unit(A{l-1}, h)\nend\nminimize mean(A{L})"
    )
    gradient = model.gradient()
    assert gradient.symbolic is not None
    assert "for l = L−1, …, 1:" in str(gradient)
    assert [t.name for t in model.program.parameters] == ["A_W1", "A_W2", "A_W3"]


def test_a_parameter_that_is_given_is_shared():
    """Tied: one tensor, whose gradient is the sum over its uses."""
    head = "dims d = 3\nbatch n\ninput X : [n, d]\nparam W : [d, d]\n"
    block = "block f(x, W)\nA = tanh(x @ W)\nreturn A\nend\nB = f(X, W)\nC = f(B, W)\nminimize sum(C)"
    plain = "B = tanh(X @ W)\nC = tanh(B @ W)\nminimize sum(C)"
    tied, by_hand = (derive.parse(head + lines) for lines in (block, plain))
    assert [t.name for t in tied.program.parameters] == ["W"]
    assert str(tied.gradient()) == str(by_hand.gradient())


def test_a_use_and_the_same_lines_by_hand_are_one_function():
    block = derive.parse(HEAD + LAYER + "H = layer(X, d, h)\nP = layer(tanh(H), h, d)\nminimize sum((P - G)^2)")
    hand = derive.parse(
        HEAD + "param U : [d, h]\nparam V : [h, d]\nH = X @ U\nP = tanh(H) @ V\nminimize sum((P - G)^2)"
    )
    rng = np.random.default_rng(7)
    u, v, x, g = (rng.normal(size=s) for s in ((3, 5), (5, 3), (2, 3), (2, 3)))
    one = block.evaluate({"H_W": u, "P_W": v, "X": x, "G": g})["loss"]
    assert np.allclose(one, hand.evaluate({"U": u, "V": v, "X": x, "G": g})["loss"], rtol=1e-14)


def test_the_text_of_the_model_keeps_its_blocks_and_so_does_python():
    model = derive.parse(HEAD + LAYER + "H = layer(X, d, h)")
    assert "block layer(x; p, q)" in model.program.text
    built = derive.Model()
    built.add(HEAD + LAYER)
    built["H"] = built.layer("X", "d", "h")
    assert built.digest() == model.program.digest
    assert [t.name for t in built.program.parameters] == ["H_W"]


def test_a_line_of_a_block_is_shown_under_the_names_of_its_use():
    model = derive.parse(HEAD + "block f(x)\n  c = 3\n  y[s, i] = c * x[s, i] # no\n  return y\nend\nA = f(X)")
    assert [s.source for s in model._shown()] == ["A_c = 3", "A[s, i] = A_c * X[s, i]"]


REFUSED = {
    "block f(x)\ny = f(x)\nreturn y\nend": ("f uses itself: f -> f", "y = f(x)"),
    "block f(x)\ny = g(x)\nreturn y\nend\nblock g(x)\ny = f(x)\nreturn y\nend": ("f -> g -> f", "y = g(x)"),
    "block f(x)\ny = g(x)\nreturn y\nend\nblock g(x)\ny = x+1\nreturn y\nend": (
        "before its definition on line 9",
        "g(x)",
    ),
    "A = pair(X)\n" + PAIR: ("before its definition on line 6", "A = pair"),
    PAIR + PAIR: ("defined twice: first on line 5 and again on line 10", "block pair"),
    "fn f(x) = x\nblock f(x)\ny = x + 1\nreturn y\nend": ("f is a function on line 5", "block f"),
    "block softmax(x)\ny = x + 1\nreturn y\nend": ("function of the language", "block softmax"),
    "block f(x, x)\ny = x + 1\nreturn y\nend": ("x stands twice", "block f"),
    "block f(x; x)\ny = x + 1\nreturn y\nend": ("x stands twice", "block f"),
    "block f(x)\nx = 1\nreturn x\nend": ("x is given to the block f", "x = 1"),
    "block f(x)\nreturn x\nend": ("returns what it was given", "block f"),
    "block f(x)\ny = x\nreturn z\nend": ("returns z and does not define it", "block f"),
    "block f(x)\ny = x\nreturn y, y\nend": ("the result y stands twice", "block f"),
    "block f(x)\ny{0} = x\nreturn y\nend": ("y, which is a family", "block f"),
    "block f(x)\ninput y : [d]\nreturn y\nend": ("declares no input", "input y"),
    "block f(x)\ndims k\ny = x\nreturn y\nend": ("a block holds parameters, equations", "dims k"),
    "block f(x)\nminimize x\ny = x\nreturn y\nend": ("a block holds parameters, equations", "minimize x"),
    PAIR + "repeat l = 1..2\nblock f(x)\ny = x\nreturn y\nend\nend": ("outside of repetitions", "block f"),
    LAYER + "H = layer(X, d)": ("layer needs q", "layer(X, d)"),
    LAYER + "H = layer(X, d, h, h)": ("takes 3 arguments", "layer(X"),
    LAYER + "H = layer(X, d, r=h)": ("no argument r", "r=h"),
    LAYER + "H = layer(X, G, h)": ("G is a tensor, not an extent", "param W"),
    LAYER + "H = layer(X, h, d)": ("inner axes differ", "Z = x @ W"),
    LAYER + "H_W = 1\nH = layer(X, d, h)": ("called H_W here, and H_W is defined on line 10", "layer(X"),
    LAYER + "H = layer(X, d, h)\nH_W = 1": ("called H_W here, and H_W is defined on line 11", "layer(X"),
    LAYER + "H = layer(X, d, h)\nH = layer(G, d, h)": ("called H_W here, and H_W is defined on line 10", "layer(G"),
    LAYER + "minimize sum(layer(X, d, h))": ("whose name its parameters take", "layer(X"),
    LAYER + "y[i,j] = layer(X, d, h)[i,j]": ("whose name its parameters take", "layer(X"),
    LAYER + "y = sum[i] layer(X, d, h)[i,0]": ("whose name its parameters take", "layer(X"),
    PAIR + "P = pair(X)\nQ = P + 1": ("P has several results", "P + 1"),
    PAIR + "P = pair(X)\noutput P": ("P has several results", "output P"),
    PAIR + "P = tanh(pair(X))": ("the block pair has several results", "P = tanh(pair(X))"),
    "block f(x)\ny = x + G\nreturn y\nend\nA = f(X)": ("does not know G of the model", "y = x + G"),
    "block f(x)\ny = x + foo\nreturn y\nend\nA = f(X)": ("unknown name foo", "y = x + foo"),
    "block f(x, g)\ny = g(x)\nreturn y\nend\nA = f(X, 3)": ("no function is given for it", "f(X, 3)"),
    "block f(x)\ny = x{0} + 1\nreturn y\nend\nA = f(X)": ("x is given to the block f: it is no family", "y = x{0}"),
    "block f(x)\na{0} = x\ny = a{0}\nreturn y\nend\nA{1} = f(X)": ("f repeats layers of its own", "A{1} = f(X)"),
    f"block f(x)\n{'y' * 60} = 1\ny = x\nreturn y\nend\nAbcd = f(X)": ("longer than 64", "Abcd = f(X)"),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_refused(lines):
    with pytest.raises(SourceError) as caught:
        derive.parse(HEAD + lines, "net.gc")
    message, line = REFUSED[lines]
    assert message in caught.value.message
    span = caught.value.span
    assert span is not None
    assert line in span.source.line(span.line)


def test_an_error_within_a_block_shows_every_use_that_leads_there():
    lines = LAYER + "block two(x; p)\n  Y = layer(x, h, p)\n  return Y\nend\nB = two(X, d)"
    with pytest.raises(SourceError) as caught:
        derive.parse(HEAD + lines, "net.gc")
    assert str(caught.value).splitlines()[0].startswith("net.gc:7:7: error: inner axes differ")
    assert str(caught.value).splitlines()[3:5] == [
        "  used at net.gc:11:7: Y = layer(x, h, p)",
        "  used at net.gc:14:5: B = two(X, d)",
    ]


def test_blocks_that_double_are_stopped(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_PARTS", 5000)
    lines = ["block f0(x)\ny = x + 1\nreturn y\nend"]
    lines += [f"block f{k}(x)\na = f{k - 1}(x)\ny = f{k - 1}(a)\nreturn y\nend" for k in range(1, 25)]
    with pytest.raises(SourceError, match="more than 5,000 parts"):
        derive.parse(HEAD + "\n".join(lines) + "\nA = f24(X)")
    lines = [f"block f{k}(x)\ny = {f'f{k + 1}(x)' if k < 60 else 'x'}\nreturn y\nend" for k in reversed(range(61))]
    with pytest.raises(SourceError, match="longer than 64"):
        derive.parse(HEAD + "\n".join(lines) + "\nA = f0(X)")


def test_sizes_that_double_are_stopped():
    lines = ["block f0(x; k)\ny = x + k\nreturn y\nend"]
    lines += [f"block f{k}(x; k)\ny = f{k - 1}(x, k*k+k)\nreturn y\nend" for k in range(1, 25)]
    with pytest.raises(SourceError, match="the size k has more than 1000 parts"):
        derive.parse(HEAD + "\n".join(lines) + "\nA = f24(X, d)")


def test_as_deep_as_the_language_allows():
    deep = "(" * 190 + "x" + " + 1)" * 190
    model = derive.parse(HEAD + f"block f(x)\ny = {deep}\nreturn y\nend\nA = f(X)")
    assert model.program.tensor("A").rank == 2
