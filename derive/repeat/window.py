"""Windows: some symbolic rounds as a program, differentiated like any other.

In: equations of rounds, of which some are cut off (the cotangents of their results are given), and variables. Out: the
raw and the simplified cotangents, each as the one tensor by which all windows know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from derive.chain_rule import pullback
from derive.expr import ONE, Expr, add
from derive.program import Equation, Program, Tensor, letters_for, reads
from derive.repeat.rounds import NoInductionError, Rounds
from derive.repeat.scheme import transplanted
from derive.simplify import Report, simplify


@dataclass(frozen=True, eq=False)
class Window:
    """A part of the derivation: some rounds as a program, its raw and its simplified cotangents."""

    prepared: Program
    raw: Program
    formulas: Program
    report: Report

    @property
    def derived(self) -> list[Equation]:
        """The simplified cotangents, in order."""
        given = set(self.prepared.tensors)
        return [e for e in self.formulas.equations if e.out not in given]


def window(
    rounds: Rounds,
    forward: list[Equation],
    cut: list[Equation],
    wrt: Iterable[Tensor],
    given: Mapping[Tensor, Iterable[Tensor]],
) -> Window:
    """The cotangents of ``wrt`` in the program of the ``forward`` and the ``cut`` equations.

    A tensor that is ``given`` has the sum of these cotangents, or 1 where there are none. Equations that are cut off
    read each other's results as data.
    """
    clones = {e.out: e.out.like(name=f"{e.out.name}′") for e in cut}
    seeds = {clone: _seed(clone, [rounds.cotangent(t)]) for t, clone in clones.items()}
    seeds |= {t: _seed(t, list(bars)) for t, bars in given.items()}
    equations = [*forward, *(replace(e, out=clones[e.out]) for e in cut)]
    wanted = list(dict.fromkeys(wrt))
    own = {e.out for e in equations}
    mentioned = [*(t for e in (*equations, *seeds.values()) for t in reads(e.body)), *wanted, *seeds]
    declared = dict.fromkeys(t for t in mentioned if t not in own)
    frame = replace(rounds.outline.scheme.frame, objective=None, outputs=())
    prepared = replace(frame, declared=tuple(declared), equations=tuple(equations))
    raw = pullback(prepared, seeds, wanted)
    formulas, report = simplify(raw, prepared)
    return _canonical(rounds, Window(prepared, raw, formulas, report))


def _seed(t: Tensor, bars: list[Tensor]) -> Equation:
    letters = letters_for(t.axes)
    bar = Tensor(f"d{t.name}", t.axes, "cotangent", primal=t)
    return Equation(bar, letters, add(*(b.at(letters) for b in bars)) if bars else ONE)


def _canonical(rounds: Rounds, w: Window) -> Window:
    """The window with each cotangent as the one that all windows know."""
    made = {e.out for e in w.derived}
    if any(t.primal is None for t in made):
        raise NoInductionError("the derivative of a round needs an intermediate of its own")

    def known(t: Tensor) -> Tensor:
        return rounds.cotangent(t.primal) if t in made and t.primal is not None else t

    derived = {e: transplanted(e, known, lambda x: x) for e in w.derived}
    gradients = tuple((v, known(g)) for v, g in w.formulas.gradients)
    return replace(
        w, formulas=w.formulas.with_equations((derived.get(e, e) for e in w.formulas.equations), gradients=gradients)
    )


def at_round(rounds: Rounds, w: Window, here: Expr) -> list[Equation]:
    """The derived equations of one round."""
    return [e for e in w.derived if e.out.primal is not None and rounds.ahead(e.out.primal, here) == 0]
