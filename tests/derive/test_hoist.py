"""Every reduction gets a name and a linear position; equal ones share it; the value stays."""

from __future__ import annotations

import numpy as np
import pytest

from derive.evaluate import evaluate
from derive.expr import Dim, Reduce, call, compare, fresh, num, power, reduce_, select, sum_over
from derive.functions import PRIMITIVES
from derive.hoist import (
    Namer,
    canonical_binders,
    hoist,
    is_scale,
    ordered_letters,
    reads_letters,
    split_scale,
    standard,
)
from derive.program import DimDecl, Equation, Program, Tensor
from derive.rewrite import walk
from derive.spec import check

n, m = Dim("n"), Dim("m")
i, j, r = fresh(n, "i"), fresh(m, "j"), fresh(n, "r")
A, x = Tensor("A", (n, m), "input"), Tensor("x", (n,), "input")
EXP = PRIMITIVES["exp"]
rng = np.random.default_rng(2)
VALUES = {"A": rng.uniform(0.5, 1, (3, 5)), "x": rng.uniform(0.5, 1, 3)}


def program(*equations: Equation) -> Program:
    return Program("p", (DimDecl("n", 3), DimDecl("m", 5)), declared=(A, x), equations=equations)


def hoisted(body, *letters):
    before = program(Equation(Tensor("y", tuple(a.extent for a in letters)), letters, body))
    after = hoist(before)
    check(before, "read")
    check(after, "prepared")
    np.testing.assert_allclose(evaluate(after, VALUES)["y"], evaluate(before, VALUES)["y"], rtol=1e-13)
    return after


row = sum_over((j,), A[i, j])
BODIES = {
    "already linear": (2 * row / n + x[i], 0),
    "in a function": (call(EXP, row), 1),
    "in a product": (row * x[i], 1),
    "squared": (power(row, 2), 1),
    "twice the same": (call(EXP, row) + row * x[i], 1),
    "alpha-equal": (row * x[i] + power(sum_over((q := fresh(m, "q"),), A[i, q]), 2), 1),
    "nested": (sum_over((fresh(n, "r"),), call(EXP, sum_over((j,), A[i, j]))), 1),
    "in a condition": (select(compare("<", row, 1), row, x[i]), 1),
    "maximum below a sum": (sum_over((j,), A[i, j] - reduce_("max", (f := fresh(m, "f"),), A[i, f])), 1),
    "two reductions": (row * reduce_("prod", (j,), A[i, j]), 2),
    "sum of a sum": (sum_over((j,), x[i] * A[i, j] * sum_over((g := fresh(n, "g"),), A[g, j])), None),
}


@pytest.mark.parametrize("name", BODIES)
def test_linear_positions(name):
    body, names = BODIES[name]
    after = hoisted(body, i)
    if names is not None:
        assert len(after.equations) == 1 + names
    assert all(e.out.hidden for e in after.equations[:-1])
    assert hoist(after).equations[-1].body == after.equations[-1].body  # once is enough


def test_sums_of_scaled_sums_become_one():
    after = hoisted(sum_over((i,), 2 * sum_over((j,), A[i, j])) / n)
    assert len(after.equations) == 1
    (reduction,) = [e for e in walk(after.equations[0].body) if isinstance(e, Reduce)]
    assert len(reduction.binders) == 2


def test_equal_reductions_of_two_equations_share_one_name():
    y, z = Tensor("y", (n,)), Tensor("z", (n,))
    other = fresh(n, "o")
    second = sum_over((c := fresh(m, "c"),), A[other, c])
    after = hoist(program(Equation(y, (i,), call(EXP, row)), Equation(z, (other,), x[other] / second)))
    assert len(after.equations) == 3
    check(after, "prepared")


def test_a_transposed_reading_is_another_tensor_but_right():
    square = Tensor("B", (n, n), "input")
    y = Tensor("y", (n, n))
    inner = fresh(n, "s")
    gram = sum_over((inner,), square[i, inner] * square[inner, r])
    other = sum_over((inner,), square[r, inner] * square[inner, i])
    p = Program(
        "p",
        (DimDecl("n", 3),),
        declared=(square,),
        equations=(Equation(y, (i, r), call(EXP, gram) * call(EXP, other)),),
    )
    after = hoist(p)
    check(after, "prepared")
    values = {"B": rng.normal(size=(3, 3))}
    np.testing.assert_allclose(evaluate(after, values)["y"], evaluate(p, values)["y"])
    assert len(after.equations) == 2


def test_names_never_collide():
    s = Tensor("S", (n,))
    after = hoist(program(Equation(s, (i,), x[i]), Equation(Tensor("y", (n,)), (i,), call(EXP, row) * s[i])))
    assert len({e.out.name for e in after.equations}) == 3
    names = Namer(after)
    assert names.unique("A") == "A_2"
    assert names.unique("A") == "A_3"
    assert names.unique("fresh") == "fresh"


def test_scales_and_keys():
    assert is_scale(2 * n + power(m, -1))
    assert not is_scale(x[i])
    assert split_scale(3 * x[i] / n) == (3 / n, x[i])
    assert split_scale(num(4) * n) == (4 * n, num(1))
    assert ordered_letters(A[i, j] * x[r]) in ((i, j, r), (r, i, j))
    assert ordered_letters(sum_over((j,), A[i, j])) == (i,)
    a, b = fresh(n), fresh(m)
    assert standard(A[i, j], (i, j)) == standard(A[a, b], (a, b))
    assert canonical_binders(sum_over((j,), A[i, j])) == canonical_binders(sum_over((b,), A[i, b]))
    assert reads_letters(A[i, j]) == (i, j)
    assert reads_letters(A[num(0), j]) is None
    square = Tensor("Q", (n, n))
    assert reads_letters(square[i, i]) is None


def test_position_tensors_are_integers():
    p = program(Equation(Tensor("y", (n,)), (i,), x[i] * reduce_("argmax", (j,), A[i, j])))
    first = hoist(p).equations[0].out
    assert (first.dtype, first.range) == ("int", m)


def test_models_keep_their_values(zoo, numeric):
    source = numeric.parsed(zoo).program
    values = numeric.draw(source)
    before, after = evaluate(source, values), evaluate(hoist(source), values)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-12, atol=1e-14)
