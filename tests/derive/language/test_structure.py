"""Structural tensor functions: the values of NumPy, the identities of linear algebra, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

import derive
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.expr import add, mul
from derive.normal import Normalizer, equal
from derive.program import Equation, Program
from derive.rewrite import substitute
from derive.simplify import inline

HEAD = """dims a = 2, b = 3, c = 5
batch n
input X : [n, a, b]
input A : [a, b]
input B : [b, c]
input C : [c, a]
input S : [b, b]
input v : [a*b]
input w : [b]
"""
DRAWN = np.random.default_rng(0)
GIVEN = {
    "X": DRAWN.normal(size=(7, 2, 3)),
    "A": DRAWN.normal(size=(2, 3)),
    "B": DRAWN.normal(size=(3, 5)),
    "C": DRAWN.normal(size=(5, 2)),
    "S": DRAWN.normal(size=(3, 3)),
    "v": DRAWN.normal(size=6),
    "w": DRAWN.normal(size=3),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("reshape(X, [n, a*b])", lambda X, **_: X.reshape(7, 6)),
        ("reshape(X, [n*a, b])", lambda X, **_: X.reshape(14, 3)),
        ("reshape(X, [n*a*b])", lambda X, **_: X.reshape(-1)),
        ("reshape(v, [a, b])", lambda v, **_: v.reshape(2, 3)),
        ("reshape(v, [1, a, 1, b])", lambda v, **_: v.reshape(1, 2, 1, 3)),
        ("reshape(A, [b, a])", lambda A, **_: A.reshape(3, 2)),
        ("reshape(A @ B, [c, a])", lambda A, B, **_: (A @ B).reshape(5, 2)),
        ("reshape(reshape(A, [1, a, 1, b]), [a*b])", lambda A, **_: A.reshape(-1)),
        ("flatten(X)", lambda X, **_: X.reshape(7, 6)),
        ("flatten(A')", lambda A, **_: A.T.reshape(-1)),
        ("vec(A)", lambda A, **_: A.T.reshape(-1)),
        ("outer(w, A)", lambda w, A, **_: np.multiply.outer(w, A)),
        ("outer(w, w + 1)", lambda w, **_: np.outer(w, w + 1)),
        ("kron(A, B)", lambda A, B, **_: np.kron(A, B)),
        ("kron(w, v)", lambda w, v, **_: np.kron(w, v)),
        ("diag(w)", lambda w, **_: np.diag(w)),
        ("diag(S)", lambda S, **_: np.diag(S)),
        ("tril(S)", lambda S, **_: np.tril(S)),
        ("triu(A)", lambda A, **_: np.triu(A)),
        ("unvec(v, [a, b])", lambda v, **_: v.reshape((2, 3), order="F")),
        ("vec(unvec(v, [b, a]))", lambda v, **_: v),
        ("tril(S, 1)", lambda S, **_: np.tril(S, 1)),
        ("triu(A, 1)", lambda A, **_: np.triu(A, 1)),
        ("tril(S, -1)", lambda S, **_: np.tril(S, -1)),
        ("cumsum(w, reverse)", lambda w, **_: w[::-1].cumsum()[::-1]),
        ("cumsum(A, reverse, axis=1)", lambda A, **_: A[:, ::-1].cumsum(1)[:, ::-1]),
        ("cumsum(w)", lambda w, **_: np.cumsum(w)),
        ("cumsum(X, axis=b)", lambda X, **_: np.cumsum(X, axis=2)),
        ("cumsum(X, axis=1)", lambda X, **_: np.cumsum(X, axis=1)),
        ("cumsum(cumsum(A, axis=0), axis=1)", lambda A, **_: A.cumsum(0).cumsum(1)),
        ("trace(S)", lambda S, **_: np.trace(S)),
        ("eye(b) + S", lambda S, **_: np.eye(3) + S),
        ("ones(a, b) - A", lambda A, **_: 1 - A),
        ("zeros([a, b])", lambda **_: np.zeros((2, 3))),
        ("ones(b)", lambda **_: np.ones(3)),
        ("norm(w)", lambda w, **_: np.linalg.norm(w)),
        ("norm(w, 1)", lambda w, **_: np.abs(w).sum()),
        ("flatten(tanh(X))[:, 1:4]", lambda X, **_: np.tanh(X).reshape(7, 6)[:, 1:4]),
        ("max(flatten(X), axis=1)", lambda X, **_: X.reshape(7, 6).max(1)),
        ("softmax(vec(A))", lambda A, **_: np.exp(A.T.ravel()) / np.exp(A).sum()),
    ],
)
def test_values(text, wanted):
    program = derive.parse(f"{HEAD}R = {text}\n").program
    found = evaluate(program, GIVEN)["R"]
    assert found.shape == wanted(**GIVEN).shape
    np.testing.assert_allclose(found, wanted(**GIVEN), atol=1e-13)


def written_out(program: Program, name: str) -> Equation:
    equation = program.defined[program.tensor(name)]
    for d in reversed(program.equations):
        if d.out is not equation.out:
            equation = equation.with_body(inline(equation.body, d))
    return equation


def same(left: str, right: str) -> bool:
    program = derive.parse(f"{HEAD}L = {left}\nR = {right}\n").program
    one, two = written_out(program, "L"), written_out(program, "R")
    moved = substitute(two.body, dict(zip(two.letters, one.letters, strict=True)))
    if not equal(one.body, moved):
        return False
    assert Normalizer()(add(one.body, mul(-1, moved))) == 0 * one.body
    values = evaluate(program, GIVEN)
    np.testing.assert_allclose(values["L"], values["R"], atol=1e-12)
    return True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("vec(A @ B @ C)", "kron(C', A) @ vec(B)"),
        ("vec(A @ B)", "kron(eye(c), A) @ vec(B)"),
        ("vec(A @ B)", "kron(B', eye(a)) @ vec(A)"),
        ("kron(A, B) @ kron(B, C)", "kron(A @ B, B @ C)"),
        ("kron(A, B)'", "kron(A', B')"),
        ("kron(kron(A, B), C)", "kron(A, kron(B, C))"),
        ("trace(A @ B @ C)", "vec(A') @ vec(B @ C)"),
        ("vec(outer(w, w))", "kron(w, w)"),
        ("reshape(reshape(v, [a, b]), [a*b])", "v"),
        ("reshape(flatten(X), [n, a, b])", "X"),
        ("flatten(reshape(A, [b, a]))", "flatten(A)"),
        ("flatten(A)", "vec(A')"),
        ("trace(kron(S, S))", "trace(S)^2"),
        ("trace(tril(S))", "trace(S)"),
        ("diag(w) @ S", "col(w) * S"),
        ("eye(b) @ S", "S"),
        ("ones(b) @ S", "sum(S, axis=0)"),
        ("trace(outer(w, w))", "w @ w"),
        ("cumsum(w)", "tril(ones(b, b)) @ w"),
    ],
)
def test_identities_are_proved(left, right):
    assert same(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("vec(A @ B @ C)", "kron(A, C') @ vec(B)"),
        ("vec(A)", "flatten(A)"),
        ("flatten(reshape(A, [b, a]))", "flatten(A')"),
        ("tril(S)", "triu(S)"),
    ],
)
def test_what_is_no_identity_is_not_proved(left, right):
    assert not same(left, right)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("R = reshape(A, [a, c])", "A [a, b] has a*b entries, and [a, c] has a*c"),
        ("R = reshape(A, [6])", "a*b entries"),
        ("R = reshape(A, a*b)", "a shape is a list"),
        ("R = vec(X)", "vec takes a matrix"),
        ("R = kron(A, w)", "kron takes two matrices or two vectors"),
        ("R = trace(A)", "square"),
        ("R = diag(A)", "square"),
        ("R = tril(w)", "tril takes a matrix"),
        ("R = cumsum(A)", "needs axis="),
        ("R = cumsum(1)", "needs a vector"),
        ("R = ones(n=2)", "takes extents"),
        ("R = ones()", "takes extents"),
        ("R = eye(1/2)", "extent"),
        ("R[i] = flatten(A)[i] + vec(A)", "vec takes whole tensors"),
        ("Y[i,k,j] = X[k,i,j]\nR = flatten(Y)", "the batch axis stands in the middle"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(SourceError, match=re.escape(message)):
        derive.parse(f"{HEAD}{text}\n")


def test_a_batch_that_stands_last_stays_last():
    program = derive.parse("dims a = 2, b = 3\nbatch n\ninput X : [a, b, n]\nR = flatten(X)\n").program
    x = DRAWN.normal(size=(2, 3, 7))
    np.testing.assert_array_equal(evaluate(program, {"X": x})["R"], x.reshape(6, 7))


def test_a_reshape_that_regroups_within_a_repetition_asks_for_lines_of_its_own():
    text = """dims a = 2, b = 3, L = 2
param A{0} : [a, b]
repeat l = 1..L
A{l} = reshape(reshape(A{l-1}, [b, a]), [a, b])
end
minimize sum(A{L})
"""
    with pytest.raises(SourceError, match="line of its own within a repetition"):
        derive.parse(text)
