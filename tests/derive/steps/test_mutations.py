"""No untrue step gets through: every kind is falsified, and every part of the engine that makes one is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from derive import forms
from derive.expr import ONE, Add, Expr, Reduce, add, mul, num
from derive.facts import Facts
from derive.functions import PRIMITIVES
from derive.notation import notation
from derive.primes import Primes
from derive.rewrite import map_children, terms
from derive.steps import StepError, edges, jacobians, local, story, teller
from derive.steps import algebra as by_hand
from derive.steps.step import Claim, RowColumn, Side, Written

KINDS = {
    "element": "rows",
    "total derivative": "rows",
    "zero elsewhere": "rows",
    "derivative of terms": "rows",
    "collapse": "rows",
    "insert": "rows",
    "substitute": "rows",
    "collect": "rows",
    "known sums": "rows",
    "rows and columns": "rows",
    "matrix form": "rows",
    "quotient rule": "rows",
    "equal letters": "rows",
    "different letters": "rows",
    "both cases in one": "rows",
    "Jacobian": "rows",
    "in terms of the output": "columns",
    "local derivative": "columns",
    "chain rule": "log_softmax",
    "common denominator": "bce_probability",
    "algebra": "bce_probability",
    "result": "bce_probability",
    "no dependence": "ignored",
    "seed": "itself",
    "total differential": "tangent",
    "Jacobian chain rule": "jacobian",
    "product of Jacobians": "jacobian",
}


def falsified(side: Side) -> Iterator[Side]:
    """Sides that differ from this one a little, or by a sign, or in one entry."""
    if isinstance(side, Written):
        for k, matrix in enumerate(side.matrices):
            for i, row in enumerate(matrix):
                for j, entry in enumerate(row):
                    changed = (*row[:j], add(entry, ONE), *row[j + 1 :])
                    whole = (*matrix[:i], changed, *matrix[i + 1 :])
                    yield Written((*side.matrices[:k], whole, *side.matrices[k + 1 :]))
    elif isinstance(side, Expr):
        yield add(side, num(1) / 1000)
        if side != num(0):
            yield mul(-1, side)
            yield mul(num(1001) / 1000, side)
        if isinstance(side, Add):
            yield add(*side.args[1:])
    else:
        form = side.product if isinstance(side, RowColumn) else side
        twice = forms.Scale(form.row, form.col, (forms.number(2), form))
        yield from (RowColumn(f) if isinstance(side, RowColumn) else f for f in (twice, negative(form)))


@pytest.mark.parametrize(("kind", "model"), KINDS.items())
def test_a_falsified_step_is_refused(kind, model, told):
    steps, bench = told(model)
    found = [s for s in steps if s.rule == kind]
    assert found
    for step in found:
        bench.require(step)
        for wrong in falsified(step.after):
            with pytest.raises(StepError, match=f"{kind} of .* does not hold"):
                bench.require(replace(step, after=wrong))


def test_these_are_all_kinds(told):
    assert {s.rule for name in {*KINDS.values(), "hvp", "matrices", "attention", "gate"} for s in told(name)[0]} == {
        *KINDS
    }


@pytest.mark.parametrize("name", ["matrices"])
def test_a_matrix_written_out_is_refused_for_one_entry(name, told):
    steps, bench = told(name)
    found = [s for s in steps if isinstance(s.after, Written)]
    assert len(found) == 5
    for step in found:
        for wrong in falsified(step.after):
            with pytest.raises(StepError):
                bench.require(replace(step, after=wrong))


def test_a_condition_that_holds_elsewhere_too_is_refused(told):
    steps, bench = told("rows")
    for kind in ("zero elsewhere", "equal letters", "different letters"):
        for step in (s for s in steps if s.rule == kind):
            with pytest.raises(StepError):
                bench.require(replace(step, where=None))


def test_letters_that_change_places_are_refused(told):
    steps, bench = told("jacobian")
    step = next(s for s in steps if s.rule == "matrix form" and s.target.name == "x")
    wrong = forms.product(*(forms.transpose(p) for p in reversed(step.after.parts)))
    with pytest.raises(StepError, match="rows and columns change places"):
        bench.require(replace(step, after=wrong))


def test_what_a_reason_states_is_tested_too(told):
    steps, bench = told("rows")
    step = next(s for s in steps if s.rule == "known sums")
    (claim,) = (r for r in step.reason if isinstance(r, Claim))
    assert claim.after == ONE
    bench.require(replace(step, before=claim.before, after=claim.after))
    with pytest.raises(StepError):
        bench.require(replace(step, before=claim.before, after=num(2)))


# ---- the engine is broken, one part at a time ----------------------------------------------------------------------


def without_last_term(e: Expr) -> Expr:
    return add(*terms(e)[:-1]) if len(terms(e)) > 1 else mul(2, e)


def doubled_sums(e: Expr) -> Expr:
    e = map_children(e, doubled_sums)
    return mul(2, e) if isinstance(e, Reduce) else e


def negative(form: forms.Form | None) -> forms.Form | None:
    return None if form is None else forms.Negative(form.row, form.col, (form,))


BROKEN = {
    "partial terms": ("rows", edges, "partials", lambda f: lambda *a: [replace(p, factor=-p.factor) for p in f(*a)]),
    "scalar derivatives": ("bce_probability", edges, "derivative", lambda f: lambda *a: mul(2, f(*a))),
    "the shortest of forms": ("columns", edges, "extract", lambda f: lambda e: without_last_term(f(e))),
    "pullback": (
        "rows",
        edges,
        "pullback",
        lambda f: (
            lambda *a: (p := f(*a)).with_equations(
                e.with_body(mul(2, e.body)) if e.out is p.gradients[0][1] else e for e in p.equations
            )
        ),
    ),
    "deltas": ("rows", story, "collapsed", lambda f: lambda e: doubled_sums(f(e))),
    "sums one by one": ("rows", local, "collapsing", lambda f: lambda e: (mul(2, x) for x in f(e))),
    "inlining": ("rows", story, "inline", lambda f: lambda *a: without_last_term(f(*a))),
    "normal forms": ("general_target", teller, "Normalizer", lambda f: lambda k: lambda e: without_last_term(f(k)(e))),
    "cancelling": ("logistic_regression", story, "cancel", lambda f: lambda e: mul(2, f(e))),
    "the common denominator": ("bce_probability", teller, "common_denominator", lambda f: lambda e: mul(2, f(e))),
    "exchanging letters": (
        "rows",
        local,
        "_led_by_output",
        lambda f: lambda t, e, i, j: by_hand.swapped(mul(2, e), i, j),
    ),
    "lifting": ("rows", notation, "lift", lambda f: lambda *a, **k: negative(f(*a, **k))),
    "lifting of Jacobians": ("rows", jacobians, "lift", lambda f: lambda *a, **k: negative(f(*a, **k))),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_engine_tells_nothing(part, monkeypatch, retold):
    model, where, name, broken = BROKEN[part]
    monkeypatch.setattr(where, name, broken(getattr(where, name)))
    with pytest.raises(StepError):
        retold(model)


def test_a_promise_that_nobody_made_is_noticed(monkeypatch, retold):
    right = Facts._declare

    def wrong(self, t):
        right(self, t)
        self.totals = {k: (num(3), name) for k, (_, name) in self.totals.items()}

    monkeypatch.setattr(Facts, "_declare", wrong)
    with pytest.raises(StepError):
        retold("rows")


def test_a_derivative_is_called_by_its_own_name(monkeypatch, retold):
    right = Primes.find

    def wrong(self, e):
        found = right(self, e)
        return None if found is None else (PRIMITIVES["tanh"], found[1])

    monkeypatch.setattr(Primes, "find", wrong)
    with pytest.raises(StepError, match="tanh′ is another"):
        retold("rows")
