"""Preparation names what derivatives reuse, shares what is equal, and changes no value."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate
from derive.expr import Call, Pow, Reduce
from derive.prepare import prepare, unfold
from derive.rewrite import walk
from derive.spec import check


def prepared(body: str, declarations: str = "dims d=3\nparam z:[d]\n"):
    return prepare(derive.parse(f"{declarations}{body}\n").program)


def hidden(program):
    return [e for e in program.equations if e.out.hidden]


def test_values_stay(zoo, numeric):
    source = numeric.parsed(zoo).program
    values = numeric.draw(source)
    after = prepare(source)
    check(after, "prepared")
    found, mine = evaluate(after, values), {t.name for t in source.tensors if t.hidden}
    for name, value in evaluate(source, values).items():
        if name not in mine:  # what gradc named may be put into a product
            np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-14)


def test_once_is_enough(zoo, numeric):
    once = prepare(numeric.parsed(zoo).program)
    assert len(prepare(once).equations) == len(once.equations)


@pytest.mark.parametrize(
    ("body", "kernel"),
    [
        ("a = silu(z)", "sigmoid"),
        ("a = z * sigmoid(z)", "sigmoid"),
        ("a = gelu(z)", "erf"),
        ("a = 1 + tanh(z)^2", "tanh"),
        ("a = z * softplus(z)", "softplus"),
    ],
)
def test_kernels_get_names(body, kernel):
    program = prepared(body)
    (found,) = hidden(program)
    assert isinstance(found.body, Call)
    assert found.body.function.name == kernel
    last = program.equations[-1]
    assert not any(isinstance(n, Call) and n.function.name == kernel for n in walk(last.body))


def test_a_kernel_that_the_model_names_is_not_named_twice():
    program = prepared("s = sigmoid(z)\na = z * sigmoid(z)")
    assert not hidden(program)
    assert program.tensor("s") in {n.tensor for n in walk(program.equations[-1].body) if hasattr(n, "tensor")}


def test_roots_are_named_by_their_positive_power():
    program = prepared("a = z / sqrt(sum(z^2) + 1) + sqrt(sum(z^2) + 1)")
    roots = [e for e in hidden(program) if isinstance(e.body, Pow)]
    assert len(roots) == 1
    assert repr(roots[0].body.exponent) == "1/2"


def test_softmax_gives_exponentials_and_sums():
    program = prepared("P = softmax(z)")
    assert [type(e.body).__name__ for e in hidden(program)] == ["Call", "Reduce"]
    e, s = hidden(program)
    assert isinstance(s.body, Reduce)
    assert not any(isinstance(n, Call) for n in walk(s.body))
    assert e.out in {n.tensor for n in walk(s.body) if hasattr(n, "tensor")}


def test_shared_sums_are_shared():
    program = prepared(
        "v = mean((X - col(m))^2, axis=1)\nH = (X - col(m)) / col(v)", "dims d=3, c=5\nparam X:[d,c]\nparam m:[d]\n"
    )
    assert len(hidden(program)) == 1


def test_unfolding_stops_at_kernels():
    program = derive.parse("dims d=3\nparam z:[d]\na = silu(z)\nb = sigmoid(z)\nc = relu(z)").program
    a, b, c = (unfold(e.body) for e in program.equations)
    assert {n.function.name for n in walk(a) if isinstance(n, Call)} == {"sigmoid"}
    assert isinstance(b, Call)
    assert isinstance(c, Call)
