"""How many operations equations take at usual sizes: what choices between whole computations are made by.

In: equations of a program. Out: a number. An extent counts with its default, a batch and what is unknown with usual
ones (`derive.order`).
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.chain_rule import pullback
from derive.cost import charges
from derive.expr import ONE, Letter
from derive.order import known_sizes, number_of
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, letters_for, needed


def operations(equations: Iterable[Equation], program: Program) -> int:
    """The operations of the equations, a sub-expression that stands twice in one of them once.

    >>> from derive.expr import Dim, fresh
    >>> n = Dim("n"); x, y = Tensor("x", (n,)), Tensor("y", (n,)); i = fresh(n, "i")
    >>> operations([Equation(y, (i,), x[i] * x[i] + 1)], Program("m", batch=n))
    256
    """
    sizes = known_sizes(program)
    total = 0
    for e in equations:
        for n, letters in charges(e.body):
            total += n * _volume(letters, sizes)
    return total


def _volume(letters: Iterable[Letter], sizes: dict[str, int]) -> int:
    total = 1
    for letter in letters:
        total *= number_of(letter.extent, sizes)
    return total


def results(program: Program) -> int:
    """The operations of what a program is for: its objective and its outputs, without any gradient."""
    wanted = [*program.outputs, *([program.objective] if program.objective is not None else [])]
    return operations(needed(program, wanted or [e.out for e in program.equations]), program)


def step(program: Program) -> int:
    """The operations of one training step: the objective and its gradient by what is trained; else the results."""
    prepared = prepare(program)
    j = prepared.objective
    if j is None:
        return results(prepared)
    seed = Equation(Tensor(f"d{j.name}", j.axes, "cotangent", primal=j), letters_for(j.axes), ONE)
    raw = pullback(prepared, {j: seed}, prepared.trained)
    return operations(needed(raw, [j, *prepared.outputs, *(bar for _, bar in raw.gradients)]), raw)
