"""`gradc derive`: the derived gradients of a model as formulas, in the notation one asks for."""

from __future__ import annotations

import json

import click

from codegen.commands.common import load_model, model_argument, reporting
from codegen.sheets import formulas_of, shapes_of, steps_of
from derive.notation import FORMS, Notation, to_json


@click.command("derive")
@model_argument
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable; all parameters without it.")
@click.option("--steps", is_flag=True, help="Tell the derivation step by step, every step tested by number.")
@click.option("--deltas", is_flag=True, help="Write δ for the cotangents of pre-activations, layer by layer.")
@click.option("--shapes", is_flag=True, help="Write the shape of each factor under it (matrix and latex).")
@click.option("--form", type=click.Choice([*FORMS, "json"]), default="matrix", show_default=True)
@reporting
def command(model: str, wrt: tuple[str, ...], steps: bool, deltas: bool, shapes: bool, form: str) -> None:
    """Print the gradients of MODEL.

    latex prints a whole document; python prints NumPy.
    """
    gradient = load_model(model).gradient(*wrt)
    if steps:
        click.echo(steps_of(gradient, form))
    elif form == "json":
        click.echo(json.dumps(to_json(gradient.program), indent=2, ensure_ascii=False))
    elif form == "latex":
        click.echo(Notation(gradient.program, deltas=deltas, shapes=shapes).document())
    elif shapes and form == "matrix":
        click.echo(shapes_of(gradient, deltas))
    else:
        click.echo(formulas_of(gradient, form, deltas))
