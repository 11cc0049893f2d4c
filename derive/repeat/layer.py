"""One layer as a model of its own: what surrounds it is known by what it hands in and by cotangents that come back.

In: an outline. Out: ordinary programs with an objective whose cotangents in round l (or in the last rounds) are those
of the whole network. Whatever works on a program works on them, so that it works for a layer whose number is a symbol:
steps that are told and tested, formulas of a person's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive.expr import Dim, Expr, add, mul, sum_over
from derive.program import DimDecl, Equation, Program, Tensor, letters_for, reads
from derive.repeat.members import shifted, split_member
from derive.repeat.rounds import Outline, Rounds
from derive.rewrite import walk


def layer_program(outline: Outline) -> Program:
    """Round l and the rounds that read it. Later rounds act by their cotangents: the objective is Σ Ū ⊙ U over them.

    By the chain rule an objective J changes as Σ Ū ⊙ dU does, with Ū = ∂J/∂U held fixed; so their derivatives by what
    lies before agree.
    """
    rounds = Rounds(outline)
    here, lag = Dim(rounds.letter), rounds.lag
    forward = [e for k in range(lag + 1) for e in rounds.round(shifted(here, k))]
    cut = [e for k in range(lag + 1, 2 * lag + 1) for e in rounds.round(shifted(here, k))]
    clones = [replace(e, out=e.out.like(name=f"{e.out.name}′", hidden=True)) for e in cut]
    pairs = zip(cut, clones, strict=True)
    known = {f.out: e.out.like(name=f"d{e.out.name}", kind="input", hidden=False) for e, f in pairs}
    objective = outline.scheme.frame.objective
    goal = Tensor("loss" if objective is None else objective.name, ())
    parts = []
    for f in clones:
        letters = letters_for(f.out.axes)
        parts.append(sum_over(letters, mul(known[f.out].at(letters), f.out.at(letters))))
    return _program(outline, f"layer {rounds.letter}", [*forward, *clones, Equation(goal, (), add(*parts))], goal)


def last_program(outline: Outline) -> Program:
    """The last rounds and what stands behind them, with the objective of the model."""
    rounds = Rounds(outline)
    near = [shifted(rounds.last, -k) for k in reversed(range(rounds.lag))]
    forward = [e for r in near for e in rounds.round(r)]
    objective = outline.scheme.frame.objective
    assert objective is not None
    return _program(outline, "the last layer", [*forward, *outline.after], objective)


def _program(outline: Outline, name: str, equations: list[Equation], objective: Tensor) -> Program:
    frame = outline.scheme.frame
    own = {e.out for e in equations}
    declared = tuple(dict.fromkeys(t for e in equations for t in reads(e.body) if t not in own))
    dims = {d.name: d for d in frame.dims}
    for e in (*(a for t in (*declared, *own) for a in t.axes), *(e.body for e in equations)):
        for found in _dims(e):
            if found not in dims and (frame.batch is None or found != frame.batch.name):
                dims[found] = DimDecl(found, None if split_member(found) else 2)
    text = f"{frame.name}: {name}"
    return replace(
        frame,
        name=text,
        dims=tuple(dims.values()),
        declared=declared,
        equations=tuple(equations),
        objective=objective,
        outputs=(),
        optimizers=(),
    )


def _dims(e: Expr) -> Iterable[str]:
    return [n.name for n in walk(e) if isinstance(n, Dim)]
