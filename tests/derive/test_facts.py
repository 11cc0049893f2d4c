"""Facts are generated from a program's own definitions, and each one is true of its values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import derive
from derive.evaluate import evaluate, evaluate_expr, find_sizes
from derive.expr import ONE, ZERO, Letter, fresh_like, mul, num, sum_over
from derive.facts import Facts
from derive.normal import Normalizer
from derive.prepare import prepare
from derive.program import letters_for
from derive.rewrite import accesses


def setting(text: str):
    program = prepare(derive.parse(text).program)
    facts = Facts(program)
    return program, facts, Normalizer(facts)


def row_sum(program, name: str, axis: int = -1, *more: str):
    """Σ over one axis of an element, times elements of others at the same place."""
    t = program.tensor(name)
    letters = letters_for(t.axes)
    return letters, sum_over((letters[axis],), mul(t.at(letters), *(program.tensor(m).at(letters) for m in more)))


SOFTMAX = "dims c=3\nbatch n\ninput Z:[n,c]\ntarget Y:[n,c]{promise}\nP = softmax(Z, axis=1)\n"


def test_a_softmax_sums_to_one_because_of_its_definition():
    program, facts, normal = setting(SOFTMAX.format(promise=""))
    assert normal(row_sum(program, "P")[1]) == ONE
    assert any("Σ P over axis 1 is 1" in name for name in facts.fired)
    assert normal(row_sum(program, "P", 0)[1]) != ONE  # columns do not


def test_any_quotient_by_its_own_sum_does():
    program, _, normal = setting("dims c=3\ninput z:[c] positive\nq = z^2 / sum(z^2)\n")
    assert normal(row_sum(program, "q")[1]) == ONE


@pytest.mark.parametrize("promise", ["one_hot", "simplex"])
def test_targets_sum_to_one_by_their_promise(promise):
    program, facts, normal = setting(SOFTMAX.format(promise=f" {promise}"))
    assert normal(row_sum(program, "Y")[1]) == ONE
    assert f"Σ Y = 1 ({promise})" in facts.fired
    assert normal(row_sum(program, "Y", 0)[1]) != ONE


def test_without_a_promise_nothing_is_known():
    program, _, normal = setting(SOFTMAX.format(promise=""))
    assert normal(row_sum(program, "Y")[1]) != ONE


def test_one_hot_is_idempotent_and_simplex_is_not():
    for promise, same in (("one_hot", True), ("simplex", False), ("", False)):
        program, _, normal = setting(SOFTMAX.format(promise=f" {promise}"))
        y = program.tensor("Y").at(letters_for(program.tensor("Y").axes))
        assert (normal(y * y) == normal(y)) is same
    program, _, normal = setting("batch n\ntarget y:[n] binary\nparam w\nminimize sum(w * y)\n")
    y = program.tensor("y").at(letters_for(program.tensor("y").axes))
    assert normal(y * (1 - y)) == ZERO


def test_an_intermediate_is_written_through_what_uses_it():
    program, facts, normal = setting(SOFTMAX.format(promise=""))
    hidden = [e for e in program.equations if e.out.hidden]
    e = next(x for x in hidden if x.out.rank == 2).out
    letters = letters_for(e.axes)
    short = normal(e.at(letters))
    assert program.tensor("P") in {n.tensor for n in accesses(short)}
    assert any("in terms of P" in name for name in facts.fired)


def test_centred_rows_sum_to_zero():
    program, _, normal = setting("dims c=3\nbatch n\ninput X:[n,c]\nmu = mean(X, axis=1)\nD = X - col(mu)\n")
    assert normal(row_sum(program, "D")[1]) == ZERO


def test_symmetric_places():
    program, facts, normal = setting("dims d=3\ninput A:[d,d] symmetric\ninput B:[d,d]\nC = A + B\n")
    a, b = program.tensor("A"), program.tensor("B")
    i, j = letters_for(a.axes)
    assert normal(a[i, j]) == normal(a[j, i])
    assert normal(b[i, j]) != normal(b[j, i])
    assert normal(a[i, j] - a[j, i]) == ZERO
    k = fresh_like(i)
    assert normal(sum_over((k,), a[i, k] * b[k, j])) == normal(sum_over((k,), a[k, i] * b[k, j]))
    assert facts.places(a[num(1), num(0)]) == (num(0), num(1))


def test_a_sum_that_has_a_name_is_that_name():
    program, facts, normal = setting("dims c=3\nbatch n\ninput X:[n,c]\nr = sum(X^2, axis=1) / n\n")
    letters, total = row_sum(program, "X", -1, "X")
    n = program.batch
    assert n is not None
    assert normal(total) == normal(n * program.tensor("r").at(letters[:1]))
    assert any(name == "Σ is r" for name in facts.fired)


def test_learning_is_not_counted_as_use():
    assert not setting(SOFTMAX.format(promise=" one_hot"))[1].fired


def test_every_fact_is_true(zoo, numeric):
    """Each total and each quotient of each model, against numbers."""
    source = numeric.parsed(zoo).program
    program = prepare(source)
    facts = Facts(program)
    values = numeric.draw(source)
    found = evaluate(program, values)
    arrays = {t: found[t.name] for t in program.tensors}
    sizes = find_sizes(program, {t: np.asarray(found[t.name]) for t in program.declared})
    for key, (value, name) in facts.totals.items():
        free = sorted(key.letters | value.letters, key=lambda a: a.number)
        assert all(isinstance(a, Letter) for a in free)
        want = evaluate_expr(key, tuple(free), arrays, sizes)
        np.testing.assert_allclose(
            evaluate_expr(value, tuple(free), arrays, sizes), want, rtol=1e-9, atol=1e-9, err_msg=name
        )
    for tensor, (letters, value, name) in facts.quotients.items():
        got = evaluate_expr(value, letters, arrays, sizes)
        np.testing.assert_allclose(got, found[tensor.name], rtol=1e-9, err_msg=name)


def test_a_kink_of_slopes_alone_is_an_alias():
    """The norm is 0 where its square is 0, as the root is: the root is the norm."""
    program = prepare(derive.parse("dims n\ninput x : [n]\ns = norm(x)\n").program)
    root = next(e.out for e in program.equations if e.body == program.tensor("S").at(()) ** Fraction(1, 2))
    assert Facts(program).access(root.at(())) == program.tensor("s").at(())
    other = derive.parse("dims n\ninput x : [n]\nS = sum(x^2)\nu = sqrt(S)\ns = 1 if S == 0 else u\n").program
    assert Facts(other).access(other.tensor("u").at(())) is None
