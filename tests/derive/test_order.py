"""The order of products: what is cheaper is computed, what people see and share stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derive
from derive import order, pipeline, prepare
from derive.evaluate import evaluate
from derive.expr import Reduce
from derive.order import ordered
from derive.program import reads
from derive.rewrite import factors, walk

SIZES = {"a": 2, "b": 3, "c": 5, "d": 7}
DIMS = "dims " + ", ".join(f"{k} = {v}" for k, v in SIZES.items())


def model(declared, *lines):
    return derive.parse("\n".join([DIMS, "batch n", *(f"param {d}" for d in declared), *lines]))


def prepared(*arguments):
    return prepare.prepare(model(*arguments).program)


def shown(program):
    return {e.out.name: {t.name for t in reads(e.body)} for e in program.equations}


MATRICES = ("A : [d, c]", "B : [d, c]", "v : [d]")


@pytest.mark.parametrize("line", ["y = (A @ B') @ v", "y = A @ (B' @ v)", "y[i] = sum[j,k] A[i,j] * B[k,j] * v[k]"])
def test_a_transposed_product_is_never_formed(line):
    program = prepared(MATRICES, line, "output y")
    assert shown(program) == {"S": {"B", "v"}, "y": {"A", "S"}}


def test_what_the_user_named_stays():
    program = prepared(MATRICES, "Q = A @ B'", "y = Q @ v", "output y")
    assert shown(program) == {"Q": {"A", "B"}, "y": {"Q", "v"}}


def test_what_is_read_twice_stays():
    program = prepared(MATRICES, "y = (A @ B') @ v + tanh((A @ B') @ v)", "output y")
    assert any(read == {"A", "B"} for read in shown(program).values())


def test_equal_intermediates_have_one_name():
    program = prepared((*MATRICES, "E : [a, c]"), "y = (A @ B') @ v", "z = (E @ B') @ v", "output y, z")
    assert shown(program) == {"S": {"B", "v"}, "y": {"A", "S"}, "z": {"E", "S"}}


def test_the_order_follows_the_sizes_of_the_model():
    declared = ("A : [a, b]", "B : [b, c]", "C : [c, d]")
    assert {"A", "B"} in shown(prepared(declared, "Y = A @ (B @ C)", "output Y")).values()
    swapped = ("A : [d, c]", "B : [c, b]", "C : [b, a]")
    assert {"B", "C"} in shown(prepared(swapped, "Y = (A @ B) @ C", "output Y")).values()


def test_derivatives_inherit_the_order():
    g = model(MATRICES, "y = (A @ B') @ v", "minimize sum(y^2)").gradient()
    for e in g.derivation.stable.equations:
        for node in walk(e.body):
            if isinstance(node, Reduce):  # nothing over three letters is ever summed
                assert len(node.body.letters) <= 2
    forms = {f.name: f.matrix for f in g.formulas}
    assert forms["dy"] == "dy = 2 y"  # read three times: named, it is doubled once
    assert [forms[f"d{name}"] for name in "ABv"] == ["dA = dy vᵀ B", "dB = v dyᵀ A", "dv = B Aᵀ dy"]


def test_long_products_that_the_chain_rule_makes_are_taken_two_at_a_time():
    declared = ("A : [d, c]", "B : [c, b]", "C : [b, a]", "x : [d]")
    g = model(declared, "u = x @ A", "w = tanh(u @ B @ C)", "minimize sum(w^2)").gradient()
    for e in g.derivation.stable.equations:
        assert all(len(factors(n.body)) <= 2 for n in walk(e.body) if isinstance(n, Reduce))


def test_sums_that_go_to_labelled_places_stay_whole():
    text = "dims v = 5, k = 3, a = 2\nbatch n\ninput t : [n] labels(v)\nparam E : [v, k]\nparam W : [k, a]\n"
    text += "Z[i,j] = sum[q] E[t[i],q] * W[q,j]\nminimize sum(Z^2)"
    g = derive.parse(text).gradient()
    values = {"E": np.arange(15.0).reshape(5, 3), "W": np.ones((3, 2)), "t": np.array([0, 4, 4])}
    found = evaluate(g.derivation.stable, values)
    expected = evaluate(g.derivation.raw, values)
    for _, bar in g.derivation.stable.gradients:
        np.testing.assert_allclose(found[bar.name], expected[bar.name])


LETTERS = {"i": "a", "j": "b", "k": "c", "l": "d", "m": "b"}
operand = st.lists(st.sampled_from("ijklm"), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(operand, min_size=2, max_size=5), st.data())
def test_any_sum_of_products_keeps_its_value_and_its_gradient(operands, data):
    used = sorted(set("".join("".join(o) for o in operands)))
    free = data.draw(st.lists(st.sampled_from(used), max_size=2, unique=True))
    bound = [x for x in used if x not in free]
    declared = [f"T{k} : [{', '.join(LETTERS[x] for x in o)}]" for k, o in enumerate(operands)]
    product = " * ".join(f"T{k}[{','.join(o)}]" for k, o in enumerate(operands))
    body = f"sum[{','.join(bound)}] {product}" if bound else product
    left = f"y[{','.join(free)}]" if free else "y"
    program = model(declared, f"{left} = {body}", "minimize sum(y^2)").program
    made = pipeline.gradient(program, program.parameters)
    rng = np.random.default_rng(0)
    values = {t.name: rng.normal(size=[SIZES[x.name] for x in t.axes]) for t in program.parameters}
    expected = np.einsum(
        ",".join(map("".join, operands)) + "->" + "".join(free), *(values[f"T{k}"] for k in range(len(operands)))
    )
    np.testing.assert_allclose(evaluate(ordered(made.raw), values)["y"], expected, rtol=1e-9, atol=1e-9)
    found, raw = evaluate(made.stable, values), evaluate(made.raw, values)
    for _, bar in made.stable.gradients:
        np.testing.assert_allclose(found[bar.name], raw[bar.name], rtol=1e-8, atol=1e-8)


def test_extents_of_families_and_of_the_batch_have_usual_sizes():
    program = model(("x : [a]",), "minimize sum(x^2)").program
    known = order.known_sizes(program)
    assert known["a"] == 2
    assert known["n"] == order.BATCH
