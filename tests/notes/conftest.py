"""What the tests of the lecture notes share: a statement of theirs is proved to be what gradc derives.

A statement is a line of the model language. It is read apart from the model, so that nothing is shared but the names,
and compared twice: as mathematics (the normal form of the difference is 0) and by number (complex steps). What gradc
prints must also have no more operations than the statement.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import derive
from derive import forms
from derive.contract import is_delta
from derive.display import definitions
from derive.evaluate import evaluate, evaluate_expr, find_sizes
from derive.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Expr,
    Letter,
    Mul,
    Num,
    Pow,
    Reduce,
    fresh_like,
    mul,
    negate,
    num,
    power,
    split_coefficient,
    split_power,
    sum_over,
)
from derive.facts import Facts
from derive.lift import without_units
from derive.normal import Normalizer, canonical_reduce
from derive.notation import Notation
from derive.pipeline import Derivation
from derive.program import Equation, Program
from derive.rewrite import factors, map_children, substitute, walk
from derive.simplify import inline
from derive.steps import Step, Steps


class Notes:
    """Statements about one model."""

    def __init__(self, numeric: Any, text: str) -> None:
        self.text = text
        self.model = numeric.parsed(text)
        self.program = self.model.program
        self.values = numeric.draw(self.program, seed=3)

    def gradient(self, by: str, statement: str) -> None:
        """The gradient of the objective by a tensor is what the statement says.

        A statement may have lines before it that name parts of it, as ``dz = …`` before ``dW = dz @ x'``.
        """
        found = self.model.gradient(by)
        self.check(found.derivation, statement, [self.slope(by)])
        self.compare_sizes(found.formulas, statement)

    def backward(self, statements: str) -> derive.Gradient:
        """A whole backward pass: each line ``dT = …`` is the gradient by T, with the lines before it as given."""
        names = [line.partition("=")[0].partition("[")[0].strip()[1:] for line in statements.splitlines()]
        found = self.model.gradient(*names)
        self.check(found.derivation, statements, [self.slope(n) for n in names])
        self.compare_sizes(found.formulas, statements)
        return found

    def jacobian(self, y: str, x: str, statement: str) -> derive.DerivedModel:
        """∂y/∂x, the axes of y first, is what the statement says."""
        done = self.model.jacobian(y, x)
        self.check(done.derivation, statement, [self.numerical(y, x)])
        self.compare_sizes([done.formula], statement)
        return done

    def written_out(self, y: str, x: str, matrix: list[list[str]]) -> None:
        """The Jacobian ∂y/∂x, written out in full, has these entries; none of ours is longer."""
        jacobian = self.model.jacobian(y, x)
        values = evaluate(jacobian.program, self.values)
        arrays = {t: values[t.name] for t in jacobian.program.tensors if t.name in values}
        entries = jacobian.expanded(size=find_sizes(self.program, {})).entries
        assert [len(line) for line in entries] == [len(line) for line in matrix]
        want = self.numerical(y, x).reshape(len(matrix), -1)
        for i, line in enumerate(matrix):
            for j, text in enumerate(line):
                stated = self.stated(f"S = {text}")[1][-1]
                ours, theirs = entries[i][j], moved(stated, (), jacobian.derivation.prepared)
                assert ours is not None
                assert is_zero(ours - theirs, jacobian.derivation.prepared), (ours, theirs)
                assert size(ours) <= size(theirs), (ours, theirs)
                np.testing.assert_allclose(evaluate_expr(ours, (), arrays, {}), want[i, j], rtol=1e-12, atol=1e-14)

    def check(self, done: Derivation, statement: str, wanted: list[np.ndarray]) -> None:
        """The last lines are the results of a derivation, by normal form and by number."""
        other, lines = self.stated(statement)
        values = evaluate(other, self.values)
        for line, out, want in zip(lines[-len(wanted) :], done.results, wanted, strict=True):
            result = next(e for e in done.formulas.equations if e.out is out)
            body = inlined(result.body, [e for e in done.derived if e.out is not out])
            before = lines[: lines.index(line)]
            same_names = moved(line.with_body(inlined(line.body, before)), result.letters, self.program)
            assert is_zero(body - same_names, done.prepared), (body, same_names)
            np.testing.assert_allclose(values[line.out.name], want, rtol=1e-10, atol=1e-12)

    def stated(self, statement: str) -> tuple[Program, list[Equation]]:
        """The program with some more lines, and their equations; what these hide is put in."""
        other = derive.parse(f"{self.text}\n{statement}\n").program
        added = list(other.equations[len(self.program.equations) :])
        return other, [
            e.with_body(inlined(e.body, [h for h in added[:k] if h.out.hidden]))
            for k, e in enumerate(added)
            if not e.out.hidden
        ]

    def told(self, steps: Steps, statement: str) -> Step:
        """The step whose right side is written like the statement, but for order and the names of letters."""
        line = self.stated(statement)[1][-1]
        used = tuple(a for a in line.letters if a in line.body.letters)
        for step in steps:
            if isinstance(step.after, Expr):
                own = tuple(a for a in step.letters if a in step.after.letters)
                if [a.extent for a in own] == [a.extent for a in used]:
                    stated = transplanted(substitute(line.body, dict(zip(used, own, strict=True))), self.program)
                    if tidy(step.after) == tidy(stated):
                        return step
        raise AssertionError(f"no step ends in {statement}:\n{steps}")

    def compare_sizes(self, formulas: Iterable[derive.Formula], statement: str) -> None:
        """What a reader sees of formulas, with the names that gradc gave, has no more operations than the notes.

        It is counted in indices, and as matrices where both sides have that form throughout.
        """
        first, *_ = formulas = list(formulas)
        names = {e.out: e for f in formulas for e in definitions(f.equation, f.notation.program)}
        shown = [*(f.equation for f in formulas), *names.values()]
        stated = self.stated(statement)[1]
        for measure in (in_indices, functools.partial(in_matrices, notation=first.notation)):
            ours, theirs = ([measure(e) for e in side] for side in (shown, stated))
            if None not in (*ours, *theirs):
                message = f"{sum(ours)} operations, not {sum(theirs)}: " + "; ".join(map(str, formulas))
                assert sum(ours) <= sum(theirs), message

    def length(self, statement: str) -> int:
        """The operations of a statement in indices."""
        return sum(map(in_indices, self.stated(statement)[1]))

    def slope(self, by: str) -> np.ndarray:
        """The gradient of the objective by complex steps."""
        objective = self.program.objective
        assert objective is not None
        return self.numerical(objective.name, by).sum(tuple(range(objective.rank)))

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


def in_indices(equation: Equation) -> int:
    """The operations of an equation as it stands in index notation."""
    return size(without_units(equation.body))


def in_matrices(equation: Equation, notation: Notation) -> int | None:
    """The operations of its matrix form, if it has one; a transpose and a repetition are none."""
    form = notation.form(equation)
    return None if form is None else operators(form)


def operators(form: forms.Form) -> int:
    """The operators and functions that a matrix form is written with."""
    own = int(bool(form.parts))
    match form:
        case forms.Number():
            own = (form.value.denominator != 1) + (form.value < 0)
        case forms.Sum():
            own = len(form.parts) - 1 - sum(isinstance(p, forms.Negative) for p in form.parts[1:])
        case forms.Scale() | forms.Hadamard() | forms.Product():
            own = len(form.parts) - 1
        case forms.Prime():  # of its argument; the second part is what it stands for
            return 1 + operators(form.parts[0])
        case forms.Transpose() | forms.Broadcast() | forms.Negation():
            own = 0
    return own + sum(map(operators, form.parts))


def size(e: Expr) -> int:
    """The operations of a formula as one writes it: signs, sums, products, quotients, powers, functions, conditions.

    A matrix product and its sum over indices are the same here, for both are read into the same expression. A number
    that all terms of a sum share counts once.
    """
    match e:
        case Add():
            scales = [split_coefficient(t)[0] for t in e.args]
            shared = abs(scales[0]) if len({abs(c) for c in scales}) == 1 else Fraction(1)
            inside = [mul((1 if c > 0 else -1) / shared, t) for c, t in zip(scales, e.args, strict=True)]
            outside = (shared.numerator != 1) + (shared.denominator != 1) + all(c < 0 for c in scales)
            return outside + len(inside) - 1 + sum(map(size, inside))
        case Mul() | Pow():
            scale, rest = split_coefficient(e)
            above, below = [num(abs(scale.numerator))], [num(scale.denominator)]
            for base, exponent in map(split_power, factors(rest)):
                inverse = isinstance(exponent, Num) and exponent.value < 0
                (below if inverse else above).append(power(base, -exponent if inverse else exponent))
            above, below = ([f for f in fs if f != ONE] for fs in (above, below))
            if e in above:  # a power by itself
                return 1 + size(split_power(e)[0]) + size(split_power(e)[1])
            return (scale < 0) + max(len(above) - 1, 0) + len(below) + sum(map(size, (*above, *below)))
        case Access() | Num() | Letter():
            return sum(map(size, e.children))
    return (0 if not e.children else 1) + sum(map(size, e.children))


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


def tidy(e: Expr) -> Expr:
    """Bound letters with canonical names, and nothing else changed."""
    e = map_children(e, tidy)
    return canonical_reduce(e.op, e.binders, e.body) if isinstance(e, Reduce) else e


def moved(stated: Equation, letters: tuple[Letter, ...], program: Program) -> Expr:
    """The right side of a statement over the tensors of another program, at its letters."""
    assert [a.extent for a in stated.letters] == [a.extent for a in letters]
    return transplanted(substitute(stated.body, dict(zip(stated.letters, letters, strict=True))), program)


def transplanted(e: Expr, program: Program) -> Expr:
    """An expression over the tensors of the same names in another program."""
    e = map_children(e, lambda c: transplanted(c, program))
    return Access(program.tensor(e.tensor.name), e.places) if isinstance(e, Access) else e


def is_zero(difference: Expr, program: Program) -> bool:
    """Whether it is 0 by the normal form, if need be after the model's equations and functions are put in."""
    normal = Normalizer(Facts(program))
    unfolded = inlined(difference, list(program.equations))
    return any(vanishes(without_units(e), normal) for e in (difference, unfolded, defined(unfolded)))


def defined(e: Expr) -> Expr:
    """Functions written out as far as they are defined by others."""
    e = map_children(e, defined)
    if isinstance(e, Call) and e.function.definition is not None:
        return defined(e.function.expand(*e.arguments))
    return e


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
