"""The letters of one story: the same letter has the same name in every step of it, and in the reasons between them.

In: the steps that tell of one tensor. Out: a name for each letter. The letters of the tensor itself are named first;
any other letter is named unlike those that stand in the same formula with it, so that sums side by side share names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from derive.contract import NoFormError
from derive.expr import Compare, Expr, Letter, Reduce
from derive.lift import without_units
from derive.notation.names import Names, letters_of
from derive.program import Equation, Tensor
from derive.rewrite import walk
from derive.steps.step import Claim, Step, Written


def lettering(names: Names, steps: Sequence[Step]) -> dict[Letter, str]:
    """The names of all letters of some steps; the last step's own letters come first."""
    meets: dict[Letter, set[Letter]] = {}
    values: set[Letter] = set()
    for a in steps[-1].letters:
        meets.setdefault(a, set())
    for step in steps:
        _meet(step.letters, (), meets)
        for e in expressions(step):
            _scopes(e, step.letters, meets)
            values |= letters_of(Equation(Tensor("", ()), (), e))[1]
    named: dict[Letter, str] = {}
    for a, others in meets.items():
        named[a] = names.letter(a, (named[b] for b in others if b in named), value=a in values)
    return named


def expressions(step: Step) -> Iterator[Expr]:
    """The index expressions of a step, as they are printed."""
    claims = [side for r in step.reason if isinstance(r, Claim) for side in (r.before, r.after)]
    for side in (step.before, step.after, *claims):
        if isinstance(side, Written):
            yield from (without_ones(e) for matrix in side.matrices for row in matrix for e in row)
        elif isinstance(side, Expr):
            yield without_ones(side)
    yield from (r for r in step.reason if isinstance(r, Expr))
    if step.where is not None:  # named as equalities: whether a condition holds or not changes no name
        yield from (Compare("==", *n.children) for n in walk(step.where) if isinstance(n, Compare))


def without_ones(side: Expr) -> Expr:
    """``side`` without letters that can only be 0."""
    with contextlib.suppress(NoFormError):
        return without_units(side)
    return side


def _meet(letters: tuple[Letter, ...], others: tuple[Letter, ...], meets: dict[Letter, set[Letter]]) -> None:
    for a in letters:
        found = meets.setdefault(a, set())
        for b in (*letters, *others):
            if b is not a and b != a:
                found.add(b)
                meets.setdefault(b, set()).add(a)


def _scopes(e: Expr, around: tuple[Letter, ...], meets: dict[Letter, set[Letter]]) -> None:
    if isinstance(e, Reduce):
        _meet(e.binders, around, meets)
        around = (*around, *e.binders)
    elif isinstance(e, Letter):
        _meet((e,), around, meets)
    for child in e.children:
        _scopes(child, around, meets)
