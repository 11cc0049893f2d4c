"""What stands before a loop: only what is the same in every round, and may be read there."""

from __future__ import annotations

import numpy as np

import derive
from codegen.compiler import load_source, source
from codegen.invariant import hoisted
from codegen.steps import Loop, Nest, Write
from derive.expr import Access, Dim, compare, fresh, mul, power, select
from derive.program import Tensor

n, d = Dim("n"), Dim("d")


def moved(value, target=None, places=None):
    """What stands before the inner loop of: for i, for k, out[i, k] = value(i, k)."""
    i, k = fresh(n), fresh(d, "k")
    out = Tensor("out", (n, d))
    at = Access(out, (i, k)) if target is None else target(i, k)
    body = Loop(i, (Loop(k, (Write(at, None, value(i, k), None),)),))
    (nest,) = hoisted([Nest((body,))], places or {})
    (whole,) = [x for x in nest.body if isinstance(x, Loop)]
    outer = [x.value for x in nest.body if isinstance(x, Write)]
    return outer, [x.value for x in whole.body if isinstance(x, Write)], whole.body[-1].body[0].value


M, E, c = Tensor("M", (n,)), Tensor("E", (n, d)), Tensor("c", ())


def test_an_element_of_a_vector_is_read_once_a_row():
    outer, inner, value = moved(lambda i, k: E[i, k] - M[i])
    assert (outer, len(inner)) == ([], 1)
    assert M not in {a.tensor for a in value.args if isinstance(a, Access)}


def test_a_divisor_is_turned_once():
    outer, inner, value = moved(lambda i, k: mul(E[i, k], power(M[i], -1)))
    assert not outer
    assert [repr(x) for x in inner] == ["M[i]^-1"] or len(inner) == 1
    assert "^-1" not in repr(value)
    outer, inner, _ = moved(lambda i, k: mul(E[i, k], power(n, -1)))
    assert len(outer) == 1  # the same for all rows
    assert not inner


def test_what_is_written_in_the_loop_is_read_there():
    assert moved(lambda i, k: E[i, k] - M[i], lambda i, k: M[i])[1] == []
    shared = Tensor("shared", (n, d))
    assert moved(lambda i, k: E[i, k] - M[i], lambda i, k: shared[i, k], {shared: 0, M: 0})[1] == []


def test_what_is_read_under_a_condition_stays_under_it():
    def shifted(i, k):
        return E[i, k] + select(compare("<", 0, i), M[i - 1], c[()])

    assert moved(shifted)[:2] == ([], [])
    assert moved(lambda i, k: E[i, k] + M[i - 1])[:2] == ([], [])


def test_quotients_are_those_of_numpy():
    text = (
        "dims d = 7\nbatch n\ninput X : [n, d]\nparam w : [d]\n"
        "R = exp(X * w)\nminimize sum((R / col(sum(R, axis=1)))^3) / n"
    )
    module = load_source(source(derive.parse(text)))
    x, w = np.random.default_rng(0).normal(size=(5, 7)), np.linspace(-1, 1, 7)
    r = np.exp(x * w)
    expected = ((r / r.sum(axis=1, keepdims=True)) ** 3).sum() / 5
    np.testing.assert_allclose(module.loss({"w": w}, X=x), expected, rtol=1e-14)
