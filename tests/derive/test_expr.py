"""Smart constructors keep one shape for one value, and never change a value."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.evaluate import evaluate_expr
from derive.expr import (
    ONE,
    ZERO,
    Add,
    Compare,
    Dim,
    Expr,
    Mul,
    Not,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    compare,
    fresh,
    fresh_like,
    mul,
    negate,
    num,
    power,
    reduce_,
    select,
    split_coefficient,
    split_power,
    sum_over,
)
from derive.program import Tensor
from derive.rewrite import walk

n, m = Dim("n"), Dim("m")
x, y, z = (Tensor(s, ()) for s in "xyz")
X, Y, Z = x.at(()), y.at(()), z.at(())


def test_sums_collect_like_terms():
    assert X + Y == Y + X
    assert X + X == 2 * X
    assert X - X == ZERO
    assert (X + 1) + (Y - 1) == X + Y
    assert isinstance(X + (Y + Z), Add)
    assert len((X + (Y + Z)).args) == 3
    assert add() == ZERO


def test_products_collect_powers():
    assert X * Y == Y * X
    assert power(X, 2) == X * X
    assert X * power(X, -1) == ONE
    assert 0 * X == ZERO
    assert mul(X, Y, Z) == X * (Y * Z)
    assert mul() == ONE
    assert 2 * (X + Y) == 2 * X + 2 * Y
    assert split_coefficient(3 * X * Y) == (Fraction(3), X * Y)
    assert split_power(power(X, 3)) == (X, num(3))


def test_powers_merge_only_where_that_holds_for_every_real_base():
    assert power(power(X, 2), 3) == power(X, 6)
    assert power(X * Y, 2) == power(X, 2) * power(Y, 2)
    root = power(power(X, 2), Num(Fraction(1, 2)))
    assert root != X
    assert isinstance(root, Pow)
    assert power(X, 0) == ONE
    assert power(X, 1) == X
    assert power(num(2), -2) == Num(Fraction(1, 4))
    assert isinstance(power(ZERO, -1), Pow)  # not evaluated: it has no value
    assert isinstance(power(num(2), Num(Fraction(1, 2))), Pow)  # not exact
    assert isinstance(power(num(2), 5000), Pow)  # not written out


def test_masks_are_idempotent_and_negated_by_their_relation():
    c = compare("<", X, 0)
    assert c * c == c
    assert power(c, 3) == c
    assert negate(c) == compare("<=", 0, X)
    assert negate(negate(c)) == c
    assert isinstance(negate(c * compare("<", Y, 0)), Not)
    assert negate(negate(c * compare("<", Y, 0))) == c * compare("<", Y, 0)
    assert negate(ONE) == ZERO


def test_comparisons_have_one_order():
    assert compare(">", X, Y) == compare("<", Y, X)
    assert compare(">=", X, Y) == compare("<=", Y, X)
    assert compare("==", X, Y) == compare("==", Y, X)
    assert compare("<", 1, 2) == ONE
    assert compare("==", n, n) == ONE
    assert isinstance(compare("==", X, X), Compare)  # x may be nan: not decided


def test_conditionals_and_reductions_without_a_choice():
    assert select(ONE, X, Y) == X
    assert select(compare("<", X, 0), Y, Y) == Y
    assert isinstance(select(compare("<", X, 0), X, Y), Select)
    i = fresh(n)
    assert sum_over((), X) == X
    assert sum_over((i,), 0) == ZERO
    assert reduce_("argmax", (), X) == ZERO
    assert isinstance(reduce_("prod", (i,), 0), Reduce)


def test_letters_are_told_apart_by_number_not_by_name():
    i, j = fresh(n, "i"), fresh(n, "i")
    assert i != j
    assert fresh_like(i).extent == n
    a = Tensor("A", (n, n))
    assert a[i, j] != a[j, i]
    assert a[i, j].letters == {i, j}
    assert sum_over((i,), a[i, j]).letters == {j}
    assert Tensor("x", ()).at(()) != X  # two tensors of one name are two


def test_every_node_prints():
    i = fresh(n, "i")
    a = Tensor("A", (n,))
    both = compare("<", X, 0) * compare("<", Y, 0)
    e = select(compare("<", a[i], 0), sum_over((i,), a[i] ** 2) / n, negate(both))
    assert repr(e) == "(n^-1·(sum[i] (A[i]^2)) if [A[i] < 0] else not [x < 0]·[y < 0])"


leaves = st.sampled_from([X, Y, Z, num(2), num(-1), Num(Fraction(2, 3)), num(0)])
expressions: st.SearchStrategy[Expr] = st.recursive(
    leaves,
    lambda e: st.one_of(
        st.tuples(e, e).map(lambda t: ("+", *t)),
        st.tuples(e, e).map(lambda t: ("*", *t)),
        st.tuples(e, st.integers(0, 3)).map(lambda t: ("^", *t)),
        st.tuples(e, e).map(lambda t: ("<", *t)),
        st.tuples(e, e, e).map(lambda t: ("if", *t)),
    ),
    max_leaves=9,
)
VALUES = {x: np.array(0.7), y: np.array(-1.3), z: np.array(0.4)}


def both(e):
    """An expression made by constructors, and its value made by arithmetic."""
    if isinstance(e, Expr):
        return e, float(evaluate_expr(e, (), VALUES, {}))
    head, *rest = e
    if head == "^":
        a, v = both(rest[0])
        return power(a, rest[1]), v ** rest[1]
    parts = [both(r) for r in rest]
    (a, v), (b, w) = parts[:2]
    if head == "+":
        return add(a, b), v + w
    if head == "*":
        return mul(a, b), v * w
    if head == "<":
        return compare("<", a, b), float(v < w)
    mask = compare("<", a, b)
    return select(mask, parts[2][0], a), parts[2][1] if v < w else v


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions)
def test_constructors_never_change_a_value(e):
    made, value = both(e)
    got = float(evaluate_expr(made, (), VALUES, {}))
    assert got == pytest.approx(value, rel=1e-9, abs=1e-9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(expressions)
def test_nodes_rebuild_to_themselves(e):
    made, _ = both(e)
    for node in walk(made):
        if node.children:
            assert node.rebuild(node.children) == node
        if isinstance(node, (Add, Mul)):
            assert not any(type(a) is type(node) for a in node.args)
