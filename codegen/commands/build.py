"""`gradc build`: a model file in, one self-contained Python module out."""

from __future__ import annotations

import click

from codegen.commands.common import Sizes, dtype_option, load_model, model_argument, reporting, size_option
from codegen.compiler import source
from codegen.files import write_text


@click.command("build")
@model_argument
@click.option("-o", "--output", required=True, metavar="OUT.py", help="The file to write; - prints it.")
@click.option("--target", type=click.Choice(["numba", "numpy"]), default="numba", show_default=True)
@click.option("--hessian", is_flag=True, help="Add hvp and hvp_flat, the Hessian times a direction.")
@size_option
@dtype_option
@reporting
def command(model: str, output: str, target: str, hessian: bool, sizes: Sizes, dtype: str | None) -> None:
    """Write a module that computes MODEL, its gradients and its training, and needs nothing of gradc."""
    text = source(load_model(model), dtype=dtype, target=target, sizes=sizes, products=hessian)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")
