"""A derivation made a model again: what was asked for gets the name of a result, and everything else is forward.

In: a derived program and the tensors that are results. Out: a program whose outputs they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from derive.expr import Access, Expr
from derive.hoist import Namer
from derive.program import Program, Tensor, needed
from derive.rewrite import map_children


def named_results(program: Program, names: Mapping[Tensor, str], name: str) -> tuple[Program, tuple[Tensor, ...]]:
    """The program of that ``name`` with the tensors under their new names, as its outputs.

    What has such a name already (the result of a derivation before this one) gets another.
    """
    table = {t: Tensor(new, t.axes) for t, new in names.items()}
    namer = Namer(program)
    for e in program.equations:
        if e.out not in table and e.out.name in names.values():
            table[e.out] = e.out.like(name=namer.unique(f"{e.out.name}_1"))
    equations = [replace(e, out=table.get(e.out, e.out), body=with_tensors(e.body, table)) for e in program.equations]
    outputs = tuple(table[t] for t in names)
    kept = replace(
        program,
        name=f"{program.name}_{name}",
        equations=tuple(equations),
        objective=None,
        outputs=outputs,
        gradients=(),
        optimizers=(),
        inference=None,
    )
    return kept.with_equations(needed(kept, outputs)), outputs


def with_tensors(e: Expr, table: Mapping[Tensor, Tensor]) -> Expr:
    """``e`` with every access of a tensor of the table reading the other one."""
    if not table:
        return e
    e = map_children(e, lambda c: with_tensors(c, table))
    return Access(table[e.tensor], e.places) if isinstance(e, Access) and e.tensor in table else e
