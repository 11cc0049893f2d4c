"""`gradc bench`: times the emitted code against its own matrix products and the machine's measured peak."""

from __future__ import annotations

import click

from codegen.bench import bench
from codegen.commands.common import (
    Sizes,
    dtype_option,
    load_model,
    model_argument,
    reporting,
    size_option,
    threads_option,
)
from codegen.prepared import prepared


@click.command("bench")
@model_argument
@size_option
@dtype_option
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True, help="Samples in a mini-batch.")
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="Times that each takes its turn.")
@threads_option
@reporting
def command(model: str, sizes: Sizes, dtype: str | None, batch: int, rounds: int, threads: int) -> None:
    """Time a training step of MODEL on random data, its matrix products alone, and this machine's peak."""
    click.echo(str(bench(prepared(load_model(model), dtype=dtype, sizes=sizes, threads=threads), batch, rounds)))
