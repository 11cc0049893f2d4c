"""The stages in order: one function reads like the table of them.

In: a program as read, and what to differentiate by. Out: a `Derivation`: the raw program, the simplified one that
formulas are printed from, the stable one that code is made of, and reports of what was done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from derive.chain_rule import pullback, pushforward
from derive.errors import GradcError
from derive.expr import ONE, ZERO, compare, mul
from derive.hoist import hoist
from derive.order import ordered
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, letters_for, needed
from derive.simplify import Report, simplify
from derive.stabilize import stabilize


@dataclass(frozen=True, eq=False)
class Derivation:
    """One derivation at its stages.

    ``source`` is the program as read, ``raw`` the chain rule's answer, ``formulas`` the simplified program that is
    printed, ``stable`` what code is generated from. ``results`` are the tensors that were asked for.
    """

    source: Program
    raw: Program
    formulas: Program
    stable: Program
    results: tuple[Tensor, ...]
    report: Report
    stabilizations: tuple[str, ...]
    prepared: Program

    @property
    def derived(self) -> tuple[Equation, ...]:
        """The simplified equations that derivation added, in order."""
        given = {e.out for e in self.prepared.equations}
        return tuple(e for e in self.formulas.equations if e.out not in given)


def forward(program: Program) -> Program:
    """The stable program of the forward computation alone: outputs and, if there is one, the objective."""
    prepared = prepare(program)
    stable, _ = stabilize(prepared)
    return _pruned(stable, ())


def gradient(program: Program, wrt: tuple[Tensor, ...]) -> Derivation:
    """The gradients of the objective.

    Raises GradcError where the program has no objective.
    """
    if program.objective is None:
        raise GradcError("no objective; use jacobian, or add a line `minimize …`")
    prepared = prepare(program)
    return finish(program, prepared, pulled_back(prepared, wrt))


def pulled_back(prepared: Program, wrt: tuple[Tensor, ...]) -> Program:
    """The chain rule's answer for the objective of a prepared program."""
    j = prepared.objective
    assert j is not None
    seed = Equation(Tensor(f"d{j.name}", j.axes, "cotangent", primal=j), letters_for(j.axes), ONE)
    return pullback(prepared, {j: seed}, wrt)


def jacobian(program: Program, y: Tensor, x: Tensor) -> Derivation:
    """∂y/∂x, with the axes of y in front of those of x."""
    prepared = prepare(program)
    return finish(program, prepared, raw_jacobian(prepared, y, x))


def raw_jacobian(prepared: Program, y: Tensor, x: Tensor) -> Program:
    """The chain rule's answer for ∂y/∂x of a prepared program."""
    extra = letters_for(y.axes)
    own = letters_for(y.axes)
    delta = mul(*(compare("==", a, b) for a, b in zip(extra, own, strict=True)))
    seed = Equation(Tensor(f"d{y.name}", (*y.axes, *y.axes), "cotangent", primal=y), (*extra, *own), delta)
    return pullback(prepared, {y: seed}, (x,), extra)


def vector_jacobian(program: Program, y: Tensor, seed: Tensor, x: Tensor) -> Derivation:
    """Σ seed · ∂y/∂x, with the seed a tensor of y's shape."""
    prepared = prepare(program)
    letters = letters_for(y.axes)
    bar = Equation(Tensor(f"d{y.name}", y.axes, "cotangent", primal=y), letters, seed.at(letters))
    return finish(program, prepared, pullback(prepared, {y: bar}, (x,)))


def tangent(program: Program, x: Tensor, direction: Tensor, y: Tensor) -> Derivation:
    """The derivative of y along a direction in x, in one forward pass."""
    prepared = prepare(program)
    raw, tangents = pushforward(prepared, {x: direction})
    if y not in tangents:
        zero = Tensor(f"{y.name}_dot", y.axes, "tangent", primal=y)
        raw = raw.with_equations((*raw.equations, Equation(zero, letters_for(y.axes), ZERO)))
        tangents[y] = zero
    return finish(program, prepared, replace(raw, gradients=((y, tangents[y]),)))


def finish(source: Program, prepared: Program, raw: Program) -> Derivation:
    """The derivation that the chain rule's answer ``raw`` for a prepared program is the beginning of."""
    formulas, report = simplify(raw, prepared)
    return completed(source, prepared, formulas, report, raw)


def completed(
    source: Program, prepared: Program, formulas: Program, report: Report, raw: Program | None = None
) -> Derivation:
    """The derivation whose simplified program is ``formulas``: what is left is to make it stable."""
    stable, notes = stabilize(formulas)
    results = tuple(bar for _, bar in formulas.gradients)
    stable = _pruned(ordered(hoist(stable)), results)
    return Derivation(source, raw or formulas, formulas, stable, results, report, tuple(notes), prepared)


def _pruned(program: Program, results: tuple[Tensor, ...]) -> Program:
    """Only what the outputs, the objective and the results rest on."""
    wanted = [*program.outputs, *([program.objective] if program.objective is not None else []), *results]
    wanted += [after for _, after in program.updates]
    return program.with_equations(needed(program, wanted or [e.out for e in program.equations]))
