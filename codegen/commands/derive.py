"""`gradc derive`: the derived gradients of a model as formulas, in the notation one asks for."""

from __future__ import annotations

import json

import click

from codegen.article import article
from codegen.commands.common import load_model, model_argument, reporting
from codegen.files import write_text
from codegen.sheets import formulas_of, latex_of, shapes_of, steps_of
from derive.differentiable import Gradient
from derive.errors import GradcError
from derive.notation import FORMS, to_json


@click.command("derive")
@model_argument
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable; all parameters without it.")
@click.option("--steps", is_flag=True, help="Tell the derivation step by step, every step tested by number.")
@click.option("--deltas", is_flag=True, help="Write δ for the cotangents of pre-activations, layer by layer.")
@click.option("--shapes", is_flag=True, help="Write the shape of each factor under it (matrix and latex).")
@click.option("--form", type=click.Choice([*FORMS, "json"]), help="The notation.  [default: matrix]")
@click.option("--latex-document", "whole", is_flag=True, help="Write a whole LaTeX article; --steps adds them to it.")
@click.option("-o", "--output", default="-", metavar="FILE", help="The file to write; it is printed without.")
@reporting
def command(
    model: str,
    wrt: tuple[str, ...],
    steps: bool,
    deltas: bool,
    shapes: bool,
    form: str | None,
    whole: bool,
    output: str,
) -> None:
    """Print the gradients of MODEL.

    latex prints displays for a document of your own, python prints NumPy.
    """
    if whole and form not in (None, "latex"):
        raise GradcError(f"--latex-document is LaTeX: leave --form {form} away")
    gradient = load_model(model).gradient(*wrt)
    if whole:
        text = article(gradient, steps=steps, shapes=shapes, deltas=deltas)
    else:
        text = _printed(gradient, form or "matrix", steps, deltas, shapes) + "\n"
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")


def _printed(gradient: Gradient, form: str, steps: bool, deltas: bool, shapes: bool) -> str:
    """The formulas, or the steps, in a notation."""
    if steps:
        return steps_of(gradient, form)
    if form == "json":
        return json.dumps(to_json(gradient.program), indent=2, ensure_ascii=False)
    if form == "latex":
        return latex_of(gradient, deltas=deltas, shapes=shapes)
    if shapes and form == "matrix":
        return shapes_of(gradient, deltas)
    return formulas_of(gradient, form, deltas)
