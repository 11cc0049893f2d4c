"""A derived scheme as programs that print: every equation once, with the letters of its repetition.

In: an induction. Out: a `Derivation` over symbolic rounds, which all notations take like any other, and the repetition
that each of its tensors is defined in. What is printed from it holds at every depth; it does not run.
"""

from __future__ import annotations

from dataclasses import replace

from derive.pipeline import Derivation
from derive.program import Equation, Program, Tensor
from derive.repeat.induction import Induction
from derive.repeat.rounds import Outline
from derive.repeat.scheme import Item, Repeat, Scheme


def flat_derivation(outline: Outline, induction: Induction) -> tuple[Derivation, dict[Tensor, Repeat]]:
    """The derivation whose formulas are those of the scheme, and the repetition that defines each tensor."""
    source, prepared = flat_program(outline.scheme), flat_program(outline.forward)
    derived = flat_program(induction.scheme)
    own = {e.out: e.out.primal for e in derived.equations if e.out.kind == "cotangent"}
    wanted = tuple((primal, bar) for bar, primal in own.items() if primal is not None and primal in induction.variables)
    formulas = replace(derived, gradients=wanted)
    results = tuple(bar for _, bar in wanted)
    whole = Derivation(source, formulas, formulas, formulas, results, induction.report, (), prepared)
    return whole, loops(induction.scheme)


def flat_program(scheme: Scheme) -> Program:
    """The equations of a scheme in order, those of a repetition once."""
    return replace(scheme.frame, declared=scheme.declared, equations=scheme.equations)


def loops(scheme: Scheme) -> dict[Tensor, Repeat]:
    """The repetition in which each tensor is defined."""
    found: dict[Tensor, Repeat] = {}

    def visit(items: tuple[Item, ...], around: Repeat | None) -> None:
        for item in items:
            if isinstance(item, Repeat):
                visit(item.items, item)
            elif around is not None:
                found[item.out if isinstance(item, Equation) else item] = around

    visit(scheme.items, None)
    return found
