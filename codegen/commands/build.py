"""`gradc build`: a model file in, one self-contained Python module out."""

from __future__ import annotations

import click

from codegen import ahead
from codegen.commands.common import (
    Sizes,
    dtype_option,
    load_model,
    model_argument,
    reporting,
    size_option,
    threads_option,
)
from codegen.compiler import text_of
from codegen.explain import explained
from codegen.files import write_text
from codegen.prepared import prepared, with_residuals


@click.command("build")
@model_argument
@click.option("-o", "--output", metavar="OUT.py", help="The file to write; - prints it.")
@click.option("--explain", is_flag=True, help="Print what the code does, step by step: kernels, operations, bytes.")
@click.option(
    "--batch", type=click.IntRange(1), default=128, show_default=True, help="The batch that --explain counts."
)
@click.option("--target", type=click.Choice(["numba", "numpy"]), default="numba", show_default=True)
@click.option(
    "--recompute", is_flag=True, help="Recurrences find again what their rounds found: less memory, more work."
)
@click.option("--precompile", is_flag=True, help="Compile OUT.py as well: no first call has to, on such a processor.")
@threads_option
@click.option("--hessian", is_flag=True, help="Add hvp and hvp_flat, the Hessian times a direction.")
@size_option
@dtype_option
@reporting
def command(
    model: str,
    output: str | None,
    explain: bool,
    batch: int,
    target: str,
    recompute: bool,
    precompile: bool,
    threads: int,
    hessian: bool,
    sizes: Sizes,
    dtype: str | None,
) -> None:
    """Write a module that computes MODEL, its gradients and its training, and needs nothing of gradc."""
    if output is None and not explain:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if precompile and (output in (None, "-") or target != "numba"):
        raise click.UsageError("--precompile needs a file to write, and the target numba")
    plan = prepared(load_model(model), dtype=dtype, target=target, sizes=sizes, products=hessian, threads=threads)
    plan = with_residuals(plan, "recompute") if recompute else plan
    if explain:
        click.echo(explained(plan, batch))
    if output is None:
        return
    text = text_of(plan)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")
        if precompile:
            ahead.precompile(output)
            click.echo(f"compiled {output} for processors like this one")
