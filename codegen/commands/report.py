"""`gradc report`: one HTML page with a model's graph, formulas, derivation and gradient check."""

from __future__ import annotations

import click

from codegen.commands.common import load_model, model_argument, reporting, size_option
from codegen.files import write_text
from codegen.report import report
from codegen.verify import check


@click.command("report")
@model_argument
@click.option("-o", "--output", required=True, metavar="REPORT.html", help="The file to write; - prints it.")
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable; all parameters without it.")
@click.option("--check/--no-check", "checked", default=True, help="Compare the gradients with numerical ones.")
@size_option
@reporting
def command(model: str, output: str, wrt: tuple[str, ...], checked: bool, sizes: dict[str, int]) -> int:
    """Write a page about MODEL that opens in any browser and needs nothing beside itself.

    The check runs at small prime sizes unless --size says otherwise; if it fails the page is written all the same.
    """
    loaded = load_model(model)
    result = check(loaded, sizes, list(wrt) or None) if checked else None
    text = report(loaded, wrt, result)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")
    return 0 if result is None or result.ok else 1
