"""Reading: valid programs and what they mean as trees, expressions by their shape, places of nodes, limits."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from derive.errors import SourceError
from derive.language import tree as t
from derive.language.parse import parse, parse_expression
from derive.language.text import digest, expression_text, text

NET = """
model mnist2
dims d = 784, h = 128, c = 10
batch n                                # the sample axis; its extent is free until the code runs

input  X  : [n, d]
target Y  : [n, c] one_hot             # properties are promises: checked on data − used by the simplifier
param  W1 : [d, h] ~ he_normal()
param  b1 : [h]    ~ zeros()
param  W2 : [h, c] ~ glorot_uniform()
param  b2 : [c]    ~ zeros()

Z1 = X @ W1 + b1
A1 = relu(Z1)
Z2 = A1 @ W2 + b2
P  = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)           # or written out: -sum(Y * log(P)) / n
optimizer adam(lr=1e-3)
output P
"""

# Each valid statement (or program) beside its canonical text.
VALID = [
    ("model m", "model m"),
    ('include "layers/block.gc"', 'include "layers/block.gc"'),
    ("option relu_at_0=1", "option relu_at_0 = 1"),
    ("option kind = fast", "option kind = fast"),
    ("option tol = 1.0e-3", "option tol = 0.001"),
    ("dims d=784,h , o = n-k+1", "dims d = 784, h, o = n-k+1"),
    ("dims o = (n - k)/2 + 1", "dims o = (n-k)/2+1"),
    ("dims h{1 .. L} = [4,5,6]", "dims h{1..L} = [4, 5, 6]"),
    ("dims h{0}=4, k", "dims h{0} = 4, k"),
    ("batch n", "batch n"),
    ("input X:[n,d]", "input X : [n, d]"),
    ("input x", "input x"),
    ("input x : []", "input x : []"),
    ("input S:[3,3] symmetric posdef", "input S : [3, 3] symmetric posdef"),
    ("target Y:[n,c] one_hot(1)", "target Y : [n, c] one_hot(1)"),
    ("target Y:[n,c] one_hot( axis = c )", "target Y : [n, c] one_hot(axis=c)"),
    ("target y:[n] labels(c)", "target y : [n] labels(c)"),
    ("input t : [n] counts()", "input t : [n] counts"),
    ("param a", "param a"),
    ("param a in 0..1", "param a in 0..1"),
    ("param a in -1.5 .. 2*pi ~ uniform(-1,1)", "param a in -1.5..2*pi ~ uniform(-1, 1)"),
    ("param W:[2*d+1,h]~normal(0,0.01)", "param W : [2*d+1, h] ~ normal(0, 0.01)"),
    ("param W{l} : [h{l-1}, h{l}] ~ he_normal()", "param W{l} : [h{l-1}, h{l}] ~ he_normal()"),
    ("const s = 2", "const s = 2"),
    ("const k : [3] = [1, -2, 1]", "const k : [3] = [1, -2, 1]"),
    ("fn f(x) = x^2", "fn f(x) = x^2"),
    ("fn f(x,a)=x if x>0 else a*x", "fn f(x, a) = x if x > 0 else a * x"),
    ("Z=X@W+b", "Z = X @ W + b"),
    ("Z = (\n  X @ W  # the linear part\n  + b\n)", "Z = X @ W + b"),
    ("v = [1,\n 2,\n\n 3]", "v = [1, 2, 3]"),
    ("C[i,j]=A[i,j]", "C[i, j] = A[i, j]"),
    (
        "C[n,f,i,j] = sum[c,p,q] X[n,c,i+p,j+q] * W[f,c,p,q] + b[f]",
        "C[n, f, i, j] = sum[c, p, q] X[n, c, i+p, j+q] * W[f, c, p, q] + b[f]",
    ),
    ("M[i:3, j] = max[p:2] x[2*i+p, j]", "M[i:3, j] = max[p:2] x[2*i+p, j]"),
    ("H[0, j] = a[j]", "H[0, j] = a[j]"),
    ("H[t+1,j] = tanh(H[t,j])", "H[t+1, j] = tanh(H[t, j])"),
    ("s = sum[i:n-1] (x[i+1]-x[i])^2", "s = sum[i:n-1] (x[i+1] - x[i])^2"),
    ("y[i] = x[i-1 | 0] + x[i+1|edge]", "y[i] = x[i-1 | 0] + x[i+1 | edge]"),
    ("y[i] = x[i | edge + 1]", "y[i] = x[i | edge+1]"),
    ("y[i] = x[i | (edge)]", "y[i] = x[i | (edge)]"),
    ("y[s,k] = E[t[n, s] , k]", "y[s, k] = E[t[n, s], k]"),
    ("y[i, s] = (W1 @ X)[i,s] + b1[i]", "y[i, s] = (W1 @ X)[i, s] + b1[i]"),
    ("y = x[1:n] - x[:n-1] + x[0]*x[:]", "y = x[1:n] - x[:n-1] + x[0] * x[:]"),
    ("y = x[2:]", "y = x[2:]"),
    ("y = x.T @ w'", "y = x' @ w'"),
    ("y = a' @ X @ b", "y = a' @ X @ b"),
    ("y = v''", "y = v''"),
    ("y = -x**2", "y = -x^2"),
    ("y = 2^-x", "y = 2^-x"),
    ("y = a^b^c", "y = a^b^c"),
    ("y = (a^b)^c", "y = (a^b)^c"),
    ("y = x'^2", "y = x'^2"),
    ("y = a - (b - c) - d", "y = a - (b - c) - d"),
    ("y = (a*b)@c", "y = (a * b) @ c"),
    ("y = a*b@c", "y = a * b @ c"),
    ("y = - -x", "y = --x"),
    ("y = a--b", "y = a - -b"),
    ("y = not a and b or c", "y = not a and b or c"),
    ("y = not (a and (b or not not c))", "y = not (a and (b or not not c))"),
    ("y = (a < b) == c", "y = (a < b) == c"),
    ("y = (a<b) and b<=c", "y = a < b and b <= c"),
    ("y = a if p else b if q else c", "y = a if p else b if q else c"),
    ("y = (a if p else b) if q else c", "y = (a if p else b) if q else c"),
    ("y = a * sum[i] x[i]*w[i]", "y = a * sum[i] x[i] * w[i]"),
    ("y = (sum[i] x[i]) * b", "y = (sum[i] x[i]) * b"),
    ("y = -sum[i] --mean[j] a[i,j]", "y = -sum[i] --mean[j] a[i, j]"),
    ("y = sum(x, axis=-1) + max(x, y) + prod[k] x[k]", "y = sum(x, axis=-1) + max(x, y) + prod[k] x[k]"),
    ("y = mean[i, j:3] (a[i,j])", "y = mean[i, j:3] a[i, j]"),
    ("y = f()", "y = f()"),
    ("y = f(a if b else c, k=not d)", "y = f(a if b else c, k=not d)"),
    ("y = dense(X, h, relu)", "y = dense(X, h, relu)"),
    ("Z{1} = A{0} @ W{1}'", "Z{1} = A{0} @ W{1}'"),
    ("edge = lambda + np * E / beta", "edge = lambda + np * E / beta"),
    ("y = 1e-3 + 0.0010 + 1E3 + 007", "y = 0.001 + 0.001 + 1000 + 7"),
    ("minimize sum((y-p)^2) / (2*n)", "minimize sum((y - p)^2) / (2 * n)"),
    ("optimizer sgd(lr=0.1)", "optimizer sgd(lr=0.1)"),
    ("output P , Z{2}", "output P, Z{2}"),
    (
        "repeat l = 1..L\nZ{l} = A{l-1} @ W{l} + b{l}\nA{l} = tanh(Z{l})\nend",
        "repeat l = 1..L\n  Z{l} = A{l-1} @ W{l} + b{l}\n  A{l} = tanh(Z{l})\nend",
    ),
    ("repeat l=1..2\nend", "repeat l = 1..2\nend"),
    (
        "block unit(X, W; h)\nparam b : [h]\nrepeat k=0..1\nY=X\nend\nZ = X @ W + b\nreturn Z\nend",
        "block unit(X, W; h)\n  param b : [h]\n  repeat k = 0..1\n    Y = X\n  end\n  Z = X @ W + b\n  return Z\nend",
    ),
    ("block same(X)\nreturn X, X\nend", "block same(X)\n  return X, X\nend"),
]


@pytest.mark.parametrize(("written", "canonical"), VALID, ids=[v[0][:40] for v in VALID])
def test_valid_programs_have_one_canonical_text_and_keep_their_tree(written: str, canonical: str) -> None:
    tree = parse(written)
    assert text(tree) == canonical + "\n"
    assert parse(text(tree)) == tree
    assert text(parse(text(tree))) == text(tree)


def test_a_whole_network() -> None:
    tree = parse(NET, "net.gc")
    kinds = [type(s).__name__ for s in tree.statements]
    assert kinds == ["ModelName", "Dims", "Batch"] + ["Declaration"] * 6 + ["Assignment"] * 4 + [
        "Minimize",
        "Optimizer",
        "Output",
    ]
    z1 = tree.statements[9]
    assert isinstance(z1, t.Assignment)
    assert z1.value == t.Chain(t.Chain(t.Name("X"), (("@", t.Name("W1")),)), (("+", t.Name("b1")),))
    assert z1.span is not None
    assert (z1.span.line, z1.span.column, z1.span.end_column) == (13, 1, 17)
    assert z1.value.span is not None
    assert str(z1.value.span) == "net.gc:13:6"


def test_line_ends_comments_and_the_last_newline_do_not_matter() -> None:
    tree = parse(NET)
    assert parse(NET.replace("\n", "\r\n")) == tree
    assert parse(NET.strip()) == tree
    assert parse("\n\n# only\n\n" + NET + "\n\n  # the end") == tree
    assert digest(parse(NET.replace("  ", " "))) == digest(tree)
    assert parse("") == parse("# nothing") == parse("\n\n") == t.Tree(())
    assert text(t.Tree(())) == ""


def test_sums_and_products_are_flat_and_keep_their_brackets() -> None:
    a, b, c, d = (t.Name(n) for n in "abcd")
    assert parse_expression("a - b + c") == t.Chain(a, (("-", b), ("+", c)))
    assert parse_expression("a * b @ c / d") == t.Chain(a, (("*", b), ("@", c), ("/", d)))
    assert parse_expression("(a * b) @ c") == t.Chain(t.Chain(a, (("*", b),)), (("@", c),))
    assert parse_expression("((a))") == a
    assert parse_expression("a and b and c") == t.Chain(a, (("and", b), ("and", c)))
    assert parse_expression("-a * b") == t.Chain(t.Unary("-", a), (("*", b),))
    assert parse_expression("-a^b") == t.Unary("-", t.Power(a, b))
    assert parse_expression("-a'") == t.Unary("-", t.Transpose(a))


def test_a_reduction_takes_the_following_product_and_stops_at_a_sum() -> None:
    tree = parse_expression("sum[j] w[j]*x[j] + b")
    assert isinstance(tree, t.Chain)
    assert isinstance(tree.first, t.Reduction)
    assert isinstance(tree.first.body, t.Chain)
    assert tree.rest == (("+", t.Name("b")),)
    assert isinstance(parse_expression("sum (x)"), t.CallExpr)
    assert isinstance(parse_expression("-sum[j] x[j]"), t.Unary)
    assert parse_expression("max[p:2] x[p]") == t.Reduction(
        "max", (t.Binder("p", t.Number(Fraction(2), "2")),), t.Index(t.Name("x"), (t.Name("p"),))
    )


def test_numbers_are_exact_and_remember_how_they_were_written() -> None:
    number = parse_expression("1.10e-3")
    assert isinstance(number, t.Number)
    assert (number.value, number.text) == (Fraction(11, 10000), "1.10e-3")
    assert parse_expression("0e999999999") == t.Number(Fraction(0), "0")
    assert expression_text(parse_expression("0.00001")) == "1e-5"


def test_padding_edge_is_a_word_only_when_it_stands_alone() -> None:
    edge, other = parse_expression("x[i | edge]"), parse_expression("x[i | (edge)]")
    assert isinstance(edge, t.Index)
    assert isinstance(other, t.Index)
    assert (edge.padding, other.padding) == ("edge", t.Name("edge"))


def test_every_node_has_its_place() -> None:
    source = "y = f(a, k=-b')^2 + x[i-1 | 0, ] if p else q".replace(", ]", "]")
    stack: list[t.Node] = list(parse(source).statements)
    while stack:
        node = stack.pop()
        assert node.span is not None, node
        assert node.span.line == 1
        assert 1 <= node.span.column < node.span.end_column <= len(source) + 1
        if isinstance(node, t.Name):
            assert source[node.span.column - 1 : node.span.end_column - 1] == node.name
        stack.extend(t.children(node))


@pytest.mark.parametrize(
    "deep",
    [
        "(" * 100_000,
        "(" * 100_000 + "x" + ")" * 100_000,
        "f(" * 300 + "x" + ")" * 300,
        "[" * 5_000,
        "x" + "'" * 5_000,
        "x" + "[0]" * 5_000,
        "-" * 5_000 + "x",
        "not " * 5_000 + "x",
        "x^" * 5_000 + "x",
        "a if b else " * 2_000 + "c",
        "sum[i] " * 1_000 + "x",
    ],
    ids=lambda deep: deep[:8],
)
def test_depth_is_limited_and_never_overflows_the_stack(deep: str) -> None:
    start = time.perf_counter()
    with pytest.raises(SourceError, match="nested more than 200 deep"):
        parse("y = " + deep)
    assert time.perf_counter() - start < 5


def test_two_hundred_levels_and_long_chains_are_fine() -> None:
    tree = parse("y = " + "f(" * 200 + "x" + ")" * 200)
    assert text(tree).count("(") == 200
    parse("y = " + "(" * 200 + "x" + ")" * 200)
    long = parse("y = " + " + ".join(f"a{k} * b{k}" for k in range(3_000)))
    assert parse(text(long)) == long


def test_a_megabyte_is_the_limit() -> None:
    with pytest.raises(SourceError, match="longer than 1 MB"):
        parse("# " + "x" * 1_000_000)
    assert parse("# " + "x" * 900_000 + "\ny = 1") == parse("y = 1")
