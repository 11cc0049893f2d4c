"""Substitution never captures; renaming never changes a value."""

from __future__ import annotations

import numpy as np

from derive.evaluate import evaluate_expr
from derive.expr import Add, Dim, Mul, Reduce, fresh, num, sum_over
from derive.normal import equal
from derive.program import Tensor
from derive.rewrite import accesses, factors, map_children, rename_binders, substitute, terms, walk

n, m = Dim("n"), Dim("m")
i, j, k, b = fresh(n, "i"), fresh(n, "j"), fresh(n, "k"), fresh(m, "b")
A, x, B = Tensor("A", (n, n)), Tensor("x", (n,)), Tensor("B", (n, m))
SIZES = {"n": 3, "m": 5}
rng = np.random.default_rng(0)
VALUES = {A: rng.normal(size=(3, 3)), x: rng.normal(size=3), B: rng.normal(size=(3, 5))}


def value(e, *letters):
    return evaluate_expr(e, letters, VALUES, SIZES)


def test_a_replacement_is_not_captured_by_a_binder():
    row = sum_over((j,), A[i, j])  # i becomes j: the binder must give way
    moved = substitute(row, {i: j})
    assert isinstance(moved, Reduce)
    assert moved.binders != (j,)
    assert moved.letters == {j}
    np.testing.assert_allclose(value(moved, j), VALUES[A].sum(1))


def test_a_bound_letter_is_not_replaced():
    total = sum_over((j,), A[i, j])
    assert substitute(total, {j: num(0)}) == total
    mixed = total * x[j]
    np.testing.assert_allclose(value(substitute(mixed, {j: i}), i), VALUES[A].sum(1) * VALUES[x])


def test_nested_capture():
    e = sum_over((j,), x[j] * sum_over((k,), A[i, k] * A[k, j]))
    want = np.einsum("j,ik,kj->i", VALUES[x], VALUES[A], VALUES[A])
    for letter in (j, k):
        moved = substitute(e, {i: letter})
        assert moved.letters == {letter}
        np.testing.assert_allclose(value(moved, letter), want)


def test_substitution_is_simultaneous():
    np.testing.assert_allclose(value(substitute(A[i, j], {i: j, j: i}), i, j), VALUES[A].T)


def test_whole_nodes_are_replaced():
    e = (x[i] + 1) ** 2 * x[i]
    got = substitute(e, {x[i]: sum_over((b,), B[i, b])})
    rows = VALUES[B].sum(1)
    np.testing.assert_allclose(value(got, i), (rows + 1) ** 2 * rows)


def test_a_key_that_mentions_a_bound_letter_means_the_outer_one():
    inner = sum_over((j,), A[i, j])
    assert substitute(inner, {A[i, j]: num(7)}) == inner


def test_renaming_binders_keeps_the_value_and_shares_nothing():
    e = sum_over((j,), A[i, j] * sum_over((k,), A[j, k]))
    renamed = rename_binders(e)
    assert equal(e, renamed)
    bound = {c for node in walk(e) if isinstance(node, Reduce) for c in node.binders}
    assert not bound & {c for node in walk(renamed) if isinstance(node, Reduce) for c in node.binders}


def test_walking():
    e = x[i] * sum_over((j,), A[i, j]) + x[i]
    assert accesses(e) == list(dict.fromkeys([n for n in walk(e) if n in (x[i], A[i, j])]))
    assert isinstance(e, Add)
    assert len(terms(e)) == 2
    product = next(t for t in terms(e) if isinstance(t, Mul))
    assert len(factors(product)) == 2
    assert map_children(e, lambda c: c) is e
    assert substitute(e, {}) is e
