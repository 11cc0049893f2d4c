"""The Python twin: a model written in Python and in a file has the same text, tree and digest."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import derive
from derive.errors import GradcError
from derive.language.parse import parse
from derive.language.text import digest, text
from derive.model import Model, Term, fn, group, where

ROWS = """
model mnist2
dims d = 784, h = 128, c = 10
batch n
input  X  : [n, d]
target Y  : [n, c] one_hot
param  W1 : [d, h] ~ he_normal()
param  b1 : [h]    ~ zeros()
param  W2 : [h, c] ~ glorot_uniform()
param  b2 : [c]    ~ zeros()
Z1 = X @ W1 + b1
A1 = relu(Z1)
Z2 = A1 @ W2 + b2
P  = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
optimizer adam(lr=1e-3)
output P
"""


def rows() -> Model:
    m = Model("mnist2")
    _, h, _ = m.dims(d=784, h=128, c=10)
    n = m.batch("n")
    X = m.input("X", n, "d")
    Y = m.target("Y", n, "c", properties=["one_hot"])
    W1 = m.param("W1", "d", h, init="he_normal()")
    b1 = m.param("b1", "h", init=m.zeros())
    W2 = m.param("W2", "h", "c", init=fn.glorot_uniform)
    b2 = m.param("b2", "c", init="zeros")
    Z1 = m.let("Z1", X @ W1 + b1)
    m["A1"] = m.relu(Z1)
    Z2 = m.let("Z2", m["A1"] @ W2 + b2)
    P = m.let("P", m.softmax(Z2, axis=1))
    m.minimize(fn.cross_entropy(Y, P))
    m.optimizer("adam", lr=1e-3)
    m.output(P)
    return m


COLUMNS = """
model columns
dims d, h = 5, c = 3
batch n
input X : [d, n]
target Y : [c, n] one_hot(axis=c)
param W1 : [h, d] ~ normal(0, 0.01)
param b1 : [h, 1]
param W2 : [c, h] ~ uniform(-1, 1)
param b2 : [c, 1]
A1 = tanh(W1 @ X + b1)
P = softmax(W2 @ A1 + b2, axis=0)
minimize -sum(Y * log(P)) / n
output A1, P
"""


def columns() -> Model:
    m = Model("columns")
    m.dims("d", h=5, c=3)
    n = m.batch("n")
    X, Y = m.input("X", "d", "n"), m.target("Y", "c", "n", properties=fn.one_hot(axis="c"))
    W1, b1 = m.param("W1", "h", "d", init="normal(0, 1e-2)"), m.param("b1", "h", 1)
    W2, b2 = m.param("W2", ["c", "h"], init=m.uniform(-1, 1)), m.param("b2", "c", 1)
    A1 = m.let("A1", m.tanh(W1 @ X + b1))
    P = m.let("P", m.softmax(W2 @ A1 + b2, axis=0))
    m.minimize(-m.sum(Y * m.log(P)) / n)
    m.output("A1", "P")
    return m


QUADRATIC = """
dims n = 7, k = n-2
input A : [n, n] symmetric
input b : [n]
input c
param x : [n] in -1..1
param s in 0..2*pi ~ constant(1/3)
g = (A + A') @ x - b
r = (A * A) @ x
minimize x' @ A @ x / 2 - b' @ x + c * s^2 + norm(x)^2 / (1/3) - 2^-s
output g
"""


def quadratic() -> Model:
    m = Model()
    m.dims(n=7, k="n - 2")
    A, b, c = m.input("A", "n", "n", properties="symmetric"), m.input("b", "n"), m.input("c")
    x = m.param("x", "n", bounds=(-1, 1))
    s = m.param("s", bounds=(0, "2*pi"), init=fn.constant(Fraction(1, 3)))
    m["g"] = (A + A.T) @ x - b
    m["r"] = group(A * A) @ x
    m.minimize(x.T @ A @ x / 2 - b.T @ x + c * s**2 + m.norm(x) ** 2 / Fraction(1, 3) - 2**-s)
    m.output("g")
    return m


INDEXED = """
model convolution
dims m = 11, w = 3, f = 2
batch n
input x : [n, m]
param k : [f, w]
param b : [f]
input t : [n] labels(f)
C[s, q, i:m-w+1] = sum[p] x[s, i+p] * k[q, p] + b[q]
S[s, q, i] = 2 * max[p:2] C[s, q, 2*i+p | 0]
D[s, q, i] = C[s, q, i-1 | edge] - C[s, q, i]
H[0, q] = b[q]
H[s+1, q] = tanh(H[s, q])
E[s] = (k @ k')[t[s], 0] - sum[q, p] k[q, p]^2
minimize mean(E) + sum(S[0, 0, 1:2]) - prod[q:f] b[q]
"""


def indexed() -> Model:
    m = Model("convolution")
    m.dims(m=11, w=3, f=2)
    n = m.batch("n")
    x, k, b = m.input("x", n, "m"), m.param("k", "f", "w"), m.param("b", "f")
    t = m.input("t", n, properties=m.labels("f"))
    s, q, i, p = m.letters("s q i p")
    C = m.let("C[s, q, i:m-w+1]", fn.sum[p](x[s, i + p] * k[q, p]) + b[q])
    S = m["S"]
    m["S", s, q, i] = 2 * m.max[p:2](C.at(s, q, 2 * i + p, pad=0))
    m["D", s, q, i] = C.at(s, q, i - 1, pad="edge") - C[s, q, i]
    H = m.let("H[0, q]", b[q])
    m["H", s + 1, q] = m.tanh(H[s, q])
    E = m.let("E[s]", (k @ k.T)[t[s], 0] - m.sum[q, p](k[q, p] ** 2))
    m.minimize(m.mean(E) + m.sum(S[0, 0, 1:2]) - m.prod[q:"f"](b[q]))
    return m


PIECES = """
model pieces
option relu_at_0 = 1
dims d = 5
const scale : [3] = [1, -2, 0.5]
const third = 1/3
fn huber(r, a) = r^2 / 2 if abs(r) <= a else a * (abs(r) - a / 2)
input x : [d] positive
param w : [d]
y = huber(x * w, 2)
z = y if x > 0 and not (w < 0 or w >= 1) else -y if x != w else 0
v = [scale[0], third] * concat(x, w, axis=0)[1:]
minimize sum(z) + max(y) * 2
"""


def pieces() -> Model:
    m = Model("pieces")
    m.option("relu_at_0", 1)
    m.dims(d=5)
    scale = m.const("scale", [1, -2, 0.5], 3)
    third = m.const("third", Fraction(1, 3))
    huber = m.fn("huber", lambda r, a: where(abs(r) <= a, r**2 / 2, a * (abs(r) - a / 2)))
    x, w = m.input("x", "d", properties=[m.positive]), m.param("w", "d")
    y = m.let("y", huber(x * w, 2))
    z = m.let("z", m.where((x > 0) & ~((w < 0) | (w >= 1)), y, m.where(x != w, -y, 0)))
    m["v"] = [scale[0], third] * m.concat(x, w, axis=0)[1:]
    m.minimize(m.sum(z) + m.max(y) * 2)
    return m


FAMILY = """
model deep
dims h{0..2} = [4, 5, 6]
input A{0} : [h{0}]
repeat l = 1..2
  param W{l} : [h{l}, h{l-1}]
  A{l} = tanh(W{l} @ A{l-1})
end
minimize sum(A{2})
"""


def family() -> Model:
    m = Model("deep")
    m.add("dims h{0..2} = [4,5,6]")
    m.input("A{0}", "h{0}")
    m.add("repeat l = 1..2\nparam W{l} : [h{l}, h{l-1}]\nA{l} = tanh(W{l} @ A{l-1})\nend")
    m.minimize(m.sum(m["A{2}"]))
    return m


TWINS = [(ROWS, rows), (COLUMNS, columns), (QUADRATIC, quadratic), (INDEXED, indexed), (PIECES, pieces)]
TWINS.append((FAMILY, family))


@pytest.mark.parametrize(("written", "build"), TWINS, ids=[b.__name__ for _, b in TWINS])
def test_the_same_model_from_a_file_and_from_python(written: str, build: Callable[[], Model]) -> None:
    tree, model = parse(written), build()
    assert model.text() == text(tree)
    assert model.tree() == tree
    assert model.digest() == digest(tree)
    assert all(s.span is not None for s in model.tree().statements)


def test_places_lie_in_the_canonical_text() -> None:
    span = rows().tree().statements[9].span
    assert span is not None
    assert (span.source.name, span.line, span.source.line(span.line)) == ("<mnist2>", 10, "Z1 = X @ W1 + b1")


@pytest.mark.parametrize(
    ("built", "written"),
    [
        (lambda x, y: x + (y + x), "x + (y + x)"),
        (lambda x, y: (x + y) + x, "x + y + x"),
        (lambda x, y: group(x + y) + x, "(x + y) + x"),
        (lambda x, y: x * y @ x, "x * y @ x"),
        (lambda x, y: -x * y, "-x * y"),
        (lambda x, y: -(x * y), "-(x * y)"),
        (lambda x, y: -(x**2), "-x^2"),
        (lambda x, y: (-x) ** 2, "(-x)^2"),
        (lambda x, y: x**-1, "x^-1"),
        (lambda x, y: 3 - x, "3 - x"),
        (lambda x, y: 1 / x, "1 / x"),
        (lambda x, y: x - 2.5e-7, "x - 2.5e-7"),
        (lambda x, y: x * -3, "x * -3"),
        (lambda x, y: np.float64(0.1) * x, "0.1 * x"),
        (lambda x, y: np.int64(3) + x, "3 + x"),
        (lambda x, y: x @ "y + 1", "x @ (y + 1)"),
        (lambda x, y: "a*b" @ x, "(a * b) @ x"),
        (lambda x, y: x * [1, y], "x * [1, y]"),
        (lambda x, y: 1 < x, "x > 1"),  # noqa: SIM300 (the reflected comparison is the point)
        (lambda x, y: x == y, "x == y"),
        (lambda x, y: fn.dense(x, 3, fn.relu), "dense(x, 3, relu)"),
        (lambda x, y: fn.sum[x](y) * 2, "(sum[x] y) * 2"),
        (lambda x, y: y * fn.sum[x, y:3](y * x), "y * sum[x, y:3] y * x"),
        (lambda x, y: -fn.mean[x](y), "-mean[x] y"),
        (lambda x, y: x[0, 1:, :y, :], "x[0, 1:, :y, :]"),
        (lambda x, y: x.at(y, pad=x), "x[y | x]"),
        (lambda x, y: x.at(y, pad="edge"), "x[y | edge]"),
        (lambda x, y: x.at(y, pad=Term.named("edge")), "x[y | (edge)]"),
        (lambda x, y: +x, "x"),
        (lambda x, y: abs(x), "abs(x)"),
    ],
)
def test_operators(built: Callable[[Term, Term], Term], written: str) -> None:
    assert repr(built(Term.named("x"), Term.named("y"))) == written


def test_index_notation_needs_no_python_loop_variable() -> None:
    m = Model()
    i, j = m.letters(["i", "j"])
    A = m.let("A[i:3, j:2]", i + j)
    assert repr(m.sum[i](A[i, 0])) == "sum[i] A[i, 0]"
    assert m.text() == "A[i:3, j:2] = i + j\n"


@pytest.mark.parametrize(
    ("mistake", "word"),
    [
        (lambda m, x: bool(x < 1), "where"),
        (lambda m, x: 0 < x < 1, "where"),
        (lambda m, x: list(x), "letters"),
        (lambda m, x: x ^ 2, r"\*\*"),
        (lambda m, x: x % 2, "remainder"),
        (lambda m, x: x + None, "NoneType"),
        (lambda m, x: x + np.ones(3), "data"),
        (lambda m, x: np.ones(3) @ x, "data"),
        (lambda m, x: x + float("nan"), "nan"),
        (lambda m, x: x * True, "1 or 0"),
        (lambda m, x: x * [], "at least one"),
        (lambda m, x: x[0:2:2], "step"),
        (lambda m, x: x + "a +", "ends too early"),
        (lambda m, x: x.at(), "index"),
        (lambda m, x: m.relu[x](x), "bind letters"),
        (lambda m, x: m.sum[:3](x), "i:3"),
        (lambda m, x: m.input("in", 3), "reserved"),
        (lambda m, x: m.input("1x", 3), "no name"),
        (lambda m, x: m.input("x" * 65), "no name"),
        (lambda m, x: m.input(3), "string"),
        (lambda m, x: m.param("w", init=3), "neither a name nor a call"),
        (lambda m, x: m.param("w", bounds=3), "pair"),
        (lambda m, x: m.fn("f", "x^2"), "Python function"),
        (lambda m, x: m.let("a b", x), "no name"),
        (lambda m, x: m.let("a[i", x), "never closed"),
        (lambda m, x: m.outputs("x"), "output"),
        (lambda m, x: m.minimise(x), "minimize"),
        (lambda m, x: m.output(), "at least one"),
        (lambda m, x: m.dims(), "at least one"),
        (lambda m, x: m.add("y = "), "ends too early"),
        (lambda m, x: m.add(3), "text"),
        (lambda m, x: m.option("a", "b c"), "unexpected"),
        (lambda m, x: Model("my model"), "no name"),
    ],
)
def test_python_mistakes_are_errors_of_ours(mistake: Callable[[Model, Term], Any], word: str) -> None:
    m = Model("m")
    with pytest.raises(GradcError, match=word):
        mistake(m, Term.named("x"))


def test_a_deep_python_expression_is_refused_with_its_line() -> None:
    m, x = Model("deep"), Term.named("x")
    for _ in range(2_000):
        x = fn.sin(x)
    m.let("y", x)
    with pytest.raises(GradcError, match="nested more than 200 deep"):
        m.tree()


@pytest.mark.parametrize(("written", "build"), TWINS[:2], ids=["rows", "columns"])
def test_both_ways_give_the_same_formulas(written: str, build: Callable[[], Model]) -> None:
    model = build()
    assert model.program is model.program
    assert str(model.gradient()) == str(derive.parse(written).gradient())


def test_a_model_can_be_asked_and_built_on() -> None:
    m = derive.Model()
    x = m.param("x")
    y = m.let("y", x**2)
    assert [t.name for t in m.program.tensors] == ["x", "y"]
    m.minimize(y * 3)
    assert m.evaluate({"x": 5.0})["y"] == 25
    assert m.gradient("x")["x"].name == "dx"


def test_an_error_of_meaning_shows_the_canonical_line() -> None:
    m = derive.Model("wrong")
    m.minimize(m.input("x") + "unknown")
    with pytest.raises(GradcError, match="unknown") as caught:
        m.gradient()
    assert "minimize x + unknown" in str(caught.value)
    assert "<wrong>:3:" in str(caught.value)
