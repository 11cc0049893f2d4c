"""The one rule, by itself: raw cotangents of every model and every index pattern against complex steps."""

from __future__ import annotations

import numpy as np
import pytest

from derive.chain_rule import pullback
from derive.evaluate import evaluate
from derive.expr import ONE, Compare, Dim, Reduce, call, fresh, num, power, reduce_, select, sum_over
from derive.expr import compare as cmp
from derive.functions import PRIMITIVES
from derive.hoist import hoist
from derive.program import DimDecl, Equation, Program, Tensor, letters_for
from derive.rewrite import walk
from derive.spec import check

n, m = Dim("n"), Dim("m")
i, j, k, q = fresh(n, "i"), fresh(m, "j"), fresh(n, "k"), fresh(m, "q")
A = Tensor("A", (n, m), "param")
B = Tensor("B", (n, n), "param")
x = Tensor("x", (n,), "param")
t = Tensor("t", (n,), "input", dtype="int", range=m)
EXP, SIN = PRIMITIVES["exp"], PRIMITIVES["sin"]
rng = np.random.default_rng(3)
VALUES = {
    "A": rng.uniform(0.2, 1, (3, 5)),
    "B": rng.uniform(0.2, 1, (3, 3)),
    "x": rng.uniform(0.2, 1, 3),
    "t": np.array([4, 1, 4]),
}


def derived(body, *letters) -> Program:
    """J = Σ sin of an equation, differentiated by all that is declared."""
    y, J = Tensor("y", tuple(a.extent for a in letters)), Tensor("J", ())
    total = sum_over(letters, call(SIN, y.at(letters)))
    equations = (Equation(y, letters, body), Equation(J, (), total))
    program = hoist(
        Program("p", (DimDecl("n", 3), DimDecl("m", 5)), declared=(A, B, x, t), equations=equations, objective=J)
    )
    seed = Equation(Tensor("dJ", (), "cotangent", primal=J), (), ONE)
    raw = pullback(program, {J: seed}, (A, B, x))
    check(raw, "raw")
    return raw


PATTERNS = {
    "element-wise": (A[i, j] ** 2, (i, j)),
    "transposed": (A[i, j] * call(EXP, A[i, j]), (j, i)),
    "broadcast": (A[i, j] * x[i], (i, j)),
    "row sum": (sum_over((j,), A[i, j] ** 3), (i,)),
    "matrix product": (sum_over((k,), B[i, k] * A[k, j]), (i, j)),
    "with itself": (sum_over((j,), A[i, j] * A[k, j]), (i, k)),
    "repeated letter": (B[i, i] * x[i], (i,)),
    "diagonal under a sum": (sum_over((i,), B[i, i] ** 2), ()),
    "symmetric part": (B[i, k] + B[k, i], (i, k)),
    "a fixed place": (A[num(0), j] * A[i, j], (i, j)),
    "a row of its own": (sum_over((j,), A[num(2), j] * A[i, j]), (i,)),
    "gather": (A[i, t[i]] ** 2, (i,)),
    "gather a column": (sum_over((k,), A[k, t[i]] * x[k]), (i,)),
    "affine place": (A[i, i + 1] * x[i], (i,)),
    "strided place": (A[i, 2 * i] * x[i], (i,)),
    "padded": (select(cmp("<=", 1, j), A[i, j - 1], A[i, j] ** 2), (i, j)),
    "maximum": (reduce_("max", (j,), A[i, j] * x[i]), (i,)),
    "maximum of all": (reduce_("max", (i, j), A[i, j] ** 2), ()),
    "minimum": (reduce_("min", (i,), A[i, j]), (j,)),
    "product": (reduce_("prod", (j,), A[i, j] + x[i]), (i,)),
    "scaled": (2 * sum_over((j,), A[i, j]) / n + x[i], (i,)),
    "nested": (call(EXP, -sum_over((k,), B[i, k] * call(SIN, sum_over((j,), A[k, j])))), (i,)),
    "quotient of sums": (x[i] / sum_over((k,), x[k] * x[k]), (i,)),
    "a letter as a number": (A[i, j] * (j + 1), (i, j)),
    "an extent as a number": (A[i, j] / (m + n), (i, j)),
    "condition on letters": (cmp("<", i, k) * B[i, k], (i, k)),
    "condition on values": (select(cmp("<", x[i], A[i, j]), A[i, j] * x[i], x[i]), (i, j)),
    "power of a tensor": (power(x[i], A[i, j]), (i, j)),
    "nothing depends": (num(3), (i,)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_index_patterns(name, numeric):
    body, letters = PATTERNS[name]
    raw = derived(body, *letters)
    found = numeric.gradients(raw, VALUES)
    for variable in "ABx":
        want = numeric.complex_step(raw, VALUES, variable, "J")
        np.testing.assert_allclose(found[variable], want, rtol=1e-12, atol=1e-13, err_msg=variable)


MANY = 100  # entries of a parameter, above which complex steps are no longer taken one by one


def test_models(zoo, numeric):
    source = numeric.parsed(zoo).program
    derivation = numeric.derived(zoo).derivation
    values = numeric.draw(source)
    found = numeric.gradients(derivation.raw, values)
    rng = np.random.default_rng(3)
    for t in source.trained:
        if values[t.name].size <= MANY:
            want = numeric.complex_step(source, values, t.name, source.objective.name)
            np.testing.assert_allclose(found[t.name], want, rtol=1e-10, atol=1e-12, err_msg=t.name)
            continue
        for _ in range(3):  # so many entries are tried together, along directions
            along = rng.choice([-1, 1], values[t.name].shape) * rng.uniform(0.5, 1.5, values[t.name].shape)
            want = numeric.complex_slope(source, values, t.name, source.objective.name, along)
            scale = float(np.sum(np.abs(found[t.name] * along)))
            assert abs(float(np.sum(found[t.name] * along)) - want) <= 1e-10 * scale + 1e-12, t.name


def test_deltas_on_plain_letters_are_renamed_away():
    for name in ("element-wise", "transposed", "broadcast", "row sum", "matrix product", "with itself"):
        body, letters = PATTERNS[name]
        raw = derived(body, *letters)
        for e in raw.equations:
            assert not any(isinstance(node, Compare) for node in walk(e.body)), (name, e)


def test_what_nothing_depends_on_has_a_zero_cotangent(numeric):
    raw = derived(x[i] ** 2, i)
    found = numeric.gradients(raw, VALUES)
    assert found["A"].shape == (3, 5)
    assert not found["A"].any()
    assert not found["B"].any()


def test_ties_of_a_maximum_go_to_the_first(numeric):
    raw = derived(reduce_("max", (j,), A[i, j]), i)
    values = {**VALUES, "A": np.array([[1.0, 2, 2, 0, 2], [3, 3, 3, 3, 3], [0, 0, 0, 0, 1]])}
    dA = numeric.gradients(raw, values)["A"]
    assert (np.argwhere(dA) == [[0, 1], [1, 0], [2, 4]]).all()
    flat = derived(reduce_("max", (i, j), A[i, j]))
    dA = numeric.gradients(flat, {**values, "A": np.full((3, 5), 2.0)})["A"]
    assert (np.argwhere(dA) == [[0, 0]]).all()


@pytest.mark.parametrize("zeros", [(), (1,), (1, 3), (0, 2, 4)])
def test_a_product_at_zeros(zeros, numeric):
    raw = derived(reduce_("prod", (j,), A[i, j]), i)
    a = VALUES["A"].copy()
    a[0, list(zeros)] = 0
    values = {**VALUES, "A": a}
    found = numeric.gradients(raw, values)["A"]
    assert np.isfinite(found).all()
    for column in range(5):
        others = np.prod(np.delete(a[0], column))
        assert found[0, column] == pytest.approx(np.cos(np.prod(a[0])) * others)


def test_extra_axes_carry_a_whole_jacobian():
    y = Tensor("y", (n,))
    program = Program(
        "p",
        (DimDecl("n", 3), DimDecl("m", 5)),
        declared=(A, B, x, t),
        equations=(Equation(y, (i,), x[i] ** 2 + B[i, i]),),
    )
    extra, own = letters_for((n,)), letters_for((n,))
    seed = Equation(Tensor("dy", (n, n), "cotangent", primal=y), (*extra, *own), cmp("==", extra[0], own[0]))
    raw = pullback(program, {y: seed}, (x, B), extra)
    check(raw, "raw")
    found = evaluate(raw, VALUES)
    np.testing.assert_allclose(found["dx"], np.diag(2 * VALUES["x"]))
    want = np.zeros((3, 3, 3))
    want[range(3), range(3), range(3)] = 1
    np.testing.assert_allclose(found["dB"], want)


def test_a_seeded_tensor_in_the_middle_and_names(numeric):
    y, z = Tensor("y", (n,)), Tensor("z", (n,))
    clash = Tensor("dx", (n,))  # a user may call a tensor so
    equations = (
        Equation(clash, (i,), x[i] * 3),
        Equation(y, (i,), clash[i] ** 2),
        Equation(z, (i,), y[i] * x[i]),
    )
    program = Program("p", (DimDecl("n", 3), DimDecl("m", 5)), declared=(A, B, x, t), equations=equations)
    raw = pullback(program, {y: Equation(Tensor("s", (n,), "cotangent", primal=y), (i,), ONE)}, (x,))
    check(raw, "raw")
    ((_, bar),) = raw.gradients
    assert bar.name != "dx"
    np.testing.assert_allclose(numeric.gradients(raw, VALUES)["x"], 18 * VALUES["x"])


def test_reductions_stay_linear():
    raw = derived(*[PATTERNS["nested"][0], *PATTERNS["nested"][1]])
    for e in raw.equations:
        for node in walk(e.body):
            if isinstance(node, Reduce):
                assert not any(isinstance(c, Reduce) for c in walk(node.body))
