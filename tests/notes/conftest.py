"""What the tests of the lecture notes share: a statement of theirs is proved to be what gradc derives.

A statement is a line of the model language. It is read apart from the model, so that nothing is shared but the names,
and compared twice: as mathematics (the normal form of the difference is 0) and by number (complex steps).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import derive
from derive import pipeline
from derive.contract import is_delta
from derive.evaluate import evaluate, evaluate_expr, find_sizes
from derive.expr import ONE, ZERO, Access, Compare, Expr, Letter, fresh_like, mul, negate, sum_over
from derive.facts import Facts
from derive.normal import Normalizer
from derive.pipeline import Derivation
from derive.program import Equation, Program
from derive.rewrite import map_children, substitute, walk
from derive.simplify import inline


class Notes:
    """Statements about one model."""

    def __init__(self, numeric: Any, text: str) -> None:
        self.text = text
        self.model = numeric.parsed(text)
        self.program = self.model.program
        self.values = numeric.draw(self.program, seed=3)

    def gradient(self, by: str, statement: str) -> None:
        """The gradient of the objective by a tensor is what the statement says."""
        done = pipeline.gradient(self.program, (self.model.variable(by),))
        objective = self.program.objective
        assert objective is not None
        self.check(done, statement, self.numerical(objective.name, by))

    def jacobian(self, y: str, x: str, statement: str) -> derive.DerivedModel:
        """∂y/∂x, the axes of y first, is what the statement says."""
        done = self.model.jacobian(y, x)
        self.check(done.derivation, statement, self.numerical(y, x))
        return done

    def check(self, done: Derivation, statement: str, want: np.ndarray) -> None:
        other = derive.parse(f"{self.text}\n{statement}\n").program
        stated = other.equations[-1]
        result = next(e for e in done.formulas.equations if e.out is done.results[0])
        body = inlined(result.body, [e for e in done.derived if e.out is not result.out])
        same_names = moved(stated, result.letters, self.program)
        assert is_zero(body - same_names, done.prepared), (body, same_names)
        found = evaluate(other, self.values)[stated.out.name]
        np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)

    def numerical(self, y: str, x: str) -> np.ndarray:
        """∂y/∂x by complex steps, also by a tensor in the middle of the model."""
        start = np.asarray(evaluate(self.program, self.values)[x])
        inner = [e.out for e in self.program.equations if e.out.name == x]
        cut = self.program.with_equations(
            [e for e in self.program.equations if e.out not in inner], declared=(*self.program.declared, *inner)
        )
        out: Any = None
        for place in np.ndindex(start.shape):
            step = start.astype(complex)
            step[place] += 1e-30j
            found = np.asarray(evaluate(cut, {**self.values, x: step})[y]).imag / 1e-30
            out = np.zeros(found.shape + start.shape) if out is None else out
            out[(..., *place)] = found
        return np.asarray(out)

    def chain(self, y: str, middle: str, x: str) -> None:
        """∂y/∂x = Σ ∂y/∂middle ∂middle/∂x over all places of the middle: the total derivative."""
        first, second, whole = (self.model.jacobian(*pair) for pair in ((y, middle), (middle, x), (y, x)))
        a, b, c = (Letters(j) for j in (first, second, whole))
        rank = self.model.variable(middle).rank
        own = c.letters[: len(a.letters) - rank]
        through = tuple(fresh_like(p) for p in b.letters[:rank])
        product = mul(a.at((*own, *through)), b.at((*through, *c.letters[len(own) :])))
        assert is_zero(sum_over(through, product) - c.body, whole.derivation.prepared)
        parts = [self.numerical(y, middle), self.numerical(middle, x)]
        np.testing.assert_allclose(np.tensordot(*parts, axes=rank), self.numerical(y, x), rtol=1e-10, atol=1e-12)

    def both_layouts(self, y: str, x: str) -> None:
        """The gradient of a number by a vector: a row in numerator layout, a column in the variable's own shape."""
        jacobian = self.model.jacobian(y, x)
        program = jacobian.derivation.formulas
        known = evaluate(program, self.values)
        arrays = {t: known[t.name] for t in program.tensors if t.name in known}
        sizes = find_sizes(program, arrays)
        want = self.numerical(y, x)
        for layout, shape in (("numerator", (1, want.size)), ("shape", (want.size, 1))):
            shown = jacobian.expanded(layout, size=sizes)
            found = [[evaluate_expr(e, (), arrays, sizes) for e in row if e is not None] for row in shown.entries]
            np.testing.assert_allclose(np.array(found, dtype=float), want.reshape(shape), rtol=1e-10, atol=1e-12)


class Letters:
    """The equation of a Jacobian, its derived parts put in."""

    def __init__(self, jacobian: derive.DerivedModel) -> None:
        done = jacobian.derivation
        result = next(e for e in done.formulas.equations if e.out is done.results[0])
        self.letters = result.letters
        self.body = named(inlined(result.body, [e for e in done.derived if e.out is not result.out]), jacobian)

    def at(self, places: tuple[Letter, ...]) -> Expr:
        return substitute(self.body, dict(zip(self.letters, places, strict=True)))


def named(e: Expr, jacobian: derive.DerivedModel) -> Expr:
    """Hidden tensors written out, because each derivation names its own."""
    hidden = [q for q in jacobian.derivation.prepared.equations if q.out.hidden]
    return inlined(e, hidden)


def inlined(e: Expr, equations: list[Equation]) -> Expr:
    for equation in reversed(equations):
        e = inline(e, equation)
    return e


def moved(stated: Equation, letters: tuple[Letter, ...], program: Program) -> Expr:
    """The right side of a statement over the tensors of another program, at its letters."""
    assert [a.extent for a in stated.letters] == [a.extent for a in letters]

    def over(e: Expr) -> Expr:
        e = map_children(e, over)
        return Access(program.tensor(e.tensor.name), e.places) if isinstance(e, Access) else e

    return over(substitute(stated.body, dict(zip(stated.letters, letters, strict=True))))


def is_zero(difference: Expr, program: Program) -> bool:
    """Whether it is 0 by the normal form, if need be after the model's equations are put in."""
    normal = Normalizer(Facts(program))
    return any(vanishes(e, normal) for e in (difference, inlined(difference, list(program.equations))))


def vanishes(e: Expr, normal: Normalizer) -> bool:
    """Whether the normal form is 0, both where two letters are equal and where they are not."""
    found = normal(e)
    masks = (d if is_delta(d) else negate(d) for d in walk(found) if isinstance(d, Compare))
    delta = next((d for d in masks if is_delta(d) and d.letters <= found.letters), None)
    if delta is None:
        return found == ZERO
    one, other = delta.children
    return all(vanishes(substitute(found, t), normal) for t in ({other: one}, {delta: ZERO, negate(delta): ONE}))


@pytest.fixture(scope="session")
def notes(numeric: Any) -> Callable[[str], Notes]:
    return functools.partial(Notes, numeric)
