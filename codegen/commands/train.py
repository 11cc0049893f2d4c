"""`gradc train`: a model and data in, a trained network out, with what it learned on the way shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Unpack

import click

from codegen.commands.common import Sizes, Stopped, load_sized, model_argument, reporting, size_option
from codegen.commands.training import How, load_data, train, training_options
from codegen.sheets import formulas_of
from codegen.train import RunStoppedError, keeps_average
from codegen.verify import check as check_gradients
from derive.errors import GradcError


@click.command("train")
@model_argument
@training_options(required=True)
@click.option("-o", "--output", metavar="PARAMS.npz", help="Where to save the parameters.")
@click.option("--average", metavar="PARAMS.npz", help="Where to save the moving average that the model keeps (ema).")
@click.option("--freeze", multiple=True, metavar="NAME", help="A parameter that is not trained; may be repeated.")
@click.option("--formulas", is_flag=True, help="Print the derived gradients first.")
@click.option("--check", is_flag=True, help="Check the gradients numerically first.")
@size_option
@reporting
def command(
    model: str,
    output: str | None,
    average: str | None,
    freeze: tuple[str, ...],
    formulas: bool,
    check: bool,
    sizes: Sizes,
    **how: Unpack[How],
) -> int:
    """Train MODEL on data and save its parameters."""
    for path in (output, average):
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise GradcError(f"cannot write {path}: its folder is not there")
    net, left = load_sized(model, sizes, freeze)
    if average is not None and not keeps_average(net.program):
        raise GradcError(f"{net.program.name} keeps no average: its optimizer has no ema, as in adam(ema=0.999)")
    found = load_data(net, how, left)
    assert found is not None
    if formulas:
        click.echo(formulas_of(net.gradient()) + "\n")
    if check:
        result = check_gradients(net)
        click.echo(f"{result}\n")
        if not result.ok:
            return 1
    start = time.perf_counter()
    try:
        outcome = train(net, found, how, lambda epoch: click.echo(str(epoch)))
    except RunStoppedError as e:
        raise Stopped(f"stopped: {e}") from e
    if output is not None:
        outcome.module.save(output, outcome.params)
    if average is not None:
        outcome.module.save(average, outcome.average)
    count = sum(outcome.params[t.name].size for t in net.program.parameters)
    seconds = time.perf_counter() - start
    last = outcome.epochs[-1]
    click.echo(f"\n{net.program.name}: {count:,} parameters, {len(outcome.epochs)} epochs in {seconds:.1f} s")
    click.echo(f"train: loss {last.train}" if last.held is None else f"held out: loss {last.held}")
    if outcome.averaged is not None:
        click.echo(f"with the average of the parameters: loss {outcome.averaged}")
    for path in (output, average):
        if path is not None:
            click.echo(f"saved {path}")
    return 0
