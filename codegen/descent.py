"""Gradients that training adds to their parameters at once, where an optimizer does nothing else with them.

In: a program with an optimizer, and what is to be computed. Out: by which factor it adds every gradient, if that is
all it does; parts in an order in which nothing reads a parameter once its gradient is there; and which gradients one
large product makes. Neither is such a gradient written to memory nor read again, and the parameter is only once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from codegen.contract import contraction
from codegen.function import Function, Setting, Update, pieces
from codegen.kernels import BROAD, Item
from codegen.steps import Gemm, Part, item_reads, reads_of, written_by
from derive.expr import ONE, ZERO, Expr, add, mul
from derive.functions import Parameter
from derive.language.optimizers import changes
from derive.program import Program, Tensor
from derive.rewrite import substitute, walk
from derive.shapes import size

LARGE = 1 << 14  # numbers of a parameter that are worth a product that reads it, too
_W, _G = Parameter("w"), Parameter("g")


def rate(program: Program) -> Expr | None:
    """The c of an optimizer that makes w + c g of each w, c the same for all elements and steps; None for others."""
    if len(program.optimizers) != 1:
        return None
    (call,) = program.optimizers
    if call.rule.state or [target for target, _ in call.rule.equations] != ["w"]:
        return None
    ((_, e),) = call.rule.equations
    c = factor(e)
    varying = {_W, _G, *(Parameter(name) for name in ("t", "T", "norm"))}
    if any(changes(value) for _, value in call.arguments) or not varying.isdisjoint(walk(c)):
        return None
    return c if add(_W, mul(c, _G)) == e else None


def factor(e: Expr) -> Expr:
    """The c of w + c g."""
    return substitute(e, {_W: ZERO, _G: ONE})


def behind_readers(parts: Sequence[Item], gradients: Sequence[tuple[Tensor, Tensor]]) -> list[Item]:
    """The parts, each product that is a parameter's gradient behind the last part that reads the parameter."""
    goals, done = {g: t for t, g in gradients}, list(parts)
    for part in parts:
        if isinstance(part, Part) and part.out in goals and contraction(part) is not None:
            here = done.index(part)
            readers = [k for k, p in enumerate(done) if k > here and goals[part.out] in item_reads(p)]
            if readers and not any(part.out in item_reads(p) for p in done[here : readers[-1] + 1]):
                done.insert(readers[-1] + 1, part)
                done.pop(here)
    return done


def descended(function: Function, trained: Collection[Tensor], sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """The parameters that a product of the plan may change at once: nothing reads them, or that product, later."""
    goals, steps = {g: t for t, g in function.gradients if t in trained}, function.plan.steps
    found = []
    for k, step in enumerate(steps):
        if not isinstance(step, Gemm) or step.out.tensor not in goals or not suits(step, sizes):
            continue
        t, g = goals[step.out.tensor], step.out.tensor
        others = [*steps[:k], *steps[k + 1 :]]
        if not any(t in reads_of(s) for s in steps[k + 1 :]) and not any(
            g in reads_of(s) or g in written_by(s) for s in others
        ):
            found.append(t)
    return tuple(found)


def suits(g: Gemm, sizes: Mapping[str, int]) -> bool:
    """Whether a product is of two matrices as they lie, and has a large result that nothing else is added to."""
    if g.start is not None or g.symmetric or g.left.windows is not None or g.out.transposed:
        return False
    if any(len(o.groups) != 2 for o in (g.left, g.right, g.out)):
        return False
    rows, columns = (size(mul(*(s.extent for s in group)), sizes) for group in g.out.groups)
    return rows is not None and columns is not None and columns > BROAD and rows * columns >= LARGE


def remaining(update: Update, function: Function, setting: Setting) -> Update:
    """What is left to do for an optimizer after a step that has changed some parameters itself."""
    if not function.descended:
        return update
    trained = set(setting.program.trained) - set(function.descended)
    runs = pieces(s for s in setting.slices if s.tensor in trained)
    return replace(update, groups=tuple(replace(g, runs=runs) for g in update.groups if runs), runs=runs)
