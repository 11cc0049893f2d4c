"""`gradc report`: one HTML page with a model's graph, formulas, derivation, gradient check and loss curve."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

import derive
from codegen.commands.common import Sizes, Stopped, load_sized, model_argument, reporting, size_option
from codegen.commands.training import How, load_data, train, training_options
from codegen.data import Data
from codegen.files import write_text
from codegen.report import Run, report
from codegen.train import Epoch, RunStoppedError
from codegen.verify import check
from derive.errors import GradcError


@click.command("report")
@model_argument
@click.option("-o", "--output", required=True, metavar="REPORT.html", help="The file to write; - prints it.")
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable; all parameters without it.")
@click.option("--check/--no-check", "checked", default=True, help="Compare the gradients with numerical ones.")
@training_options(required=False)
@size_option
@reporting
def command(model: str, output: str, wrt: tuple[str, ...], checked: bool, sizes: Sizes, **how: Unpack[How]) -> int:
    """Write a page about MODEL that opens in any browser and needs nothing beside itself.

    With --data it trains as gradc train does and draws the loss. The check runs at small prime sizes unless --size
    says otherwise. If the check fails or the training stops the page is written all the same.
    """
    if output != "-" and not Path(output).absolute().parent.is_dir():
        raise GradcError(f"cannot write {output}: its folder is not there")
    loaded, left = load_sized(model, sizes)
    data = load_data(loaded, how, left)
    run = None if data is None else _trained(loaded, data, how)
    result = check(loaded, left, list(wrt) or None) if checked else None
    text = report(loaded, wrt, result, run)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")
    if run is not None and run.stopped:
        raise Stopped(f"stopped: {run.stopped}")
    return 0 if result is None or result.ok else 1


def _trained(net: derive.Differentiable, data: Data, how: How) -> Run:
    """The epochs of a training, those before it stopped included."""
    epochs: list[Epoch] = []
    stopped = None
    try:
        train(net, data, how, epochs.append)
    except RunStoppedError as e:
        stopped = str(e)
    return Run(Path(how["source"] or "").name, data.count, tuple(epochs), stopped)
