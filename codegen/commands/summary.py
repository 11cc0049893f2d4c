"""`gradc summary`: the tensors of a model, how many parameters and operations it has, and its gradients."""

from __future__ import annotations

import math
import re

import click

from codegen.commands.common import load_model, model_argument, reporting
from codegen.flops import operations
from codegen.sheets import formulas_of, heading, shape_of
from derive.errors import GradcError
from derive.evaluate import extent
from derive.expr import Dim, Expr, Num, num
from derive.language.literals import literal_text
from derive.program import OptimizerCall, Program, Tensor
from derive.rewrite import substitute


@click.command("summary")
@model_argument
@reporting
def command(model: str) -> None:
    """Print the tensors of MODEL, its parameters, its operations and its formulas."""
    net = load_model(model)
    program = net.program
    lines = [heading(program).removeprefix("# "), "", *table(program)]
    sizes = {d.name: d.default for d in program.dims if d.default is not None}
    counts = [_size(t, sizes) for t in program.parameters]
    known = [c for c in counts if c is not None]
    lines += ["", f"parameters   {sum(known):,}" + ("" if len(known) == len(counts) else " and those without a size")]
    lines += [f"optimizer    {line}" for line in map(_optimizer, program.optimizers)]
    if program.objective is None:
        lines.append(f"operations   {operations(program.equations)!r}")
        click.echo("\n".join(lines))
        return
    gradient = net.gradient()
    backward = [f.equation for f in gradient.formulas]
    forward = [e for e in gradient.program.equations if e not in backward]
    for title, equations in (("forward", forward), ("backward", backward)):
        lines.append(f"{title:<12} {_with_sizes(operations(equations), program)} operations")
    click.echo("\n".join([*lines, "", formulas_of(gradient).split("\n", 2)[2]]))


def table(program: Program) -> list[str]:
    """A line for each tensor: name, kind, shape, promises or start."""
    rows = []
    for t in program.tensors:
        notes = [p.name for p in t.properties] + ["frozen"] * t.frozen
        notes += [f"~ {t.init.name}"] if t.init is not None else []
        rows.append((t.name, t.kind, shape_of(t), ", ".join(notes)))
    widths = [max(len(row[k]) for row in rows) for k in range(4)] if rows else []
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _optimizer(call: OptimizerCall) -> str:
    """What trains whom, with its hyperparameters as they are written."""
    written = dict(call.written)
    numbers = [f"{name} = {written.get(name) or _decimal(value)}" for name, value in call.arguments]
    whom = f" for {', '.join(call.names)}" if call.names else ""
    return f"{call.name}{whom}: {', '.join(numbers)}"


def _decimal(value: Expr) -> str:
    return (literal_text(value.value) if isinstance(value, Num) else None) or repr(value)


def _size(t: Tensor, sizes: dict[str, int]) -> int | None:
    try:
        return math.prod(extent(a, sizes) for a in t.axes)
    except GradcError:
        return None


def _with_sizes(count: Expr, program: Program) -> str:
    """A polynomial with the defaults put in; what has none stays a name."""
    table: dict[Expr, Expr] = {Dim(d.name): num(d.default) for d in program.dims if d.default is not None}
    return re.sub(r"\d{4,}", lambda digits: f"{int(digits[0]):,}", repr(substitute(count, table)))
