"""`gradc train`: a model and data in, a trained network out, with what it learned on the way shown."""

from __future__ import annotations

import time
from pathlib import Path

import click

from codegen import data as datasets
from codegen import train as training
from codegen.commands.common import Stopped, dtype_option, load_model, model_argument, reporting, size_option
from codegen.sheets import formulas_of
from codegen.verify import check as check_gradients
from derive.errors import GradcError


@click.command("train")
@model_argument
@click.option("--data", "source", required=True, help="A .npz or .csv file, or digits.")
@click.option("--target", "targets", multiple=True, metavar="COL", help="A column of the .csv that is target.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Samples in a step.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--holdout", type=float, default=0.2, show_default=True, help="Part that is only measured.")
@click.option("-o", "--output", metavar="PARAMS.npz", help="Where to save the parameters.")
@click.option("--formulas", is_flag=True, help="Print the derived gradients first.")
@click.option("--check", is_flag=True, help="Check the gradients numerically first.")
@size_option
@dtype_option
@reporting
def command(
    model: str,
    source: str,
    targets: tuple[str, ...],
    epochs: int,
    batch: int,
    seed: int,
    holdout: float,
    output: str | None,
    formulas: bool,
    check: bool,
    sizes: dict[str, int],
    dtype: str | None,
) -> int:
    """Train MODEL on data and save its parameters."""
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise GradcError(f"cannot write {output}: its folder is not there")
    net = load_model(model)
    found = datasets.load(source, net.program, targets=targets, sizes=sizes)
    if formulas:
        click.echo(formulas_of(net.gradient()) + "\n")
    if check:
        result = check_gradients(net)
        click.echo(f"{result}\n")
        if not result.ok:
            return 1
    start = time.perf_counter()
    try:
        outcome = training.train(
            net,
            found,
            epochs=epochs,
            batch_size=batch,
            seed=seed,
            dtype=dtype,
            holdout=holdout,
            on_epoch=lambda epoch: click.echo(str(epoch)),
        )
    except training.RunStoppedError as e:
        raise Stopped(f"stopped: {e}") from e
    if output is not None:
        outcome.module.save(output, outcome.params)
    count, seconds = sum(a.size for a in outcome.params.values()), time.perf_counter() - start
    last = outcome.epochs[-1]
    click.echo(f"\n{net.program.name}: {count:,} parameters, {len(outcome.epochs)} epochs in {seconds:.1f} s")
    click.echo(f"train: loss {last.train}" if last.held is None else f"held out: loss {last.held}")
    if output is not None:
        click.echo(f"saved {output}")
    return 0
