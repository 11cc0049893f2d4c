"""`gradc derive`: the derived gradients or a Jacobian of a model as formulas, in the notation one asks for."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from codegen.accumulation import costs_of
from codegen.algorithm import algorithm_of
from codegen.article import article
from codegen.commands.common import Sizes, load_sized, model_argument, reporting, size_option
from codegen.files import write_text
from codegen.jacobians import Jacobian, derived, places
from codegen.sheets import formulas_of, latex_of, shapes_of, steps_of
from derive.differentiable import DerivedModel, Differentiable
from derive.errors import GradcError
from derive.formulas import Gradient
from derive.notation import FORMS, to_json
from derive.notation.expanded import LAYOUTS


@click.command("derive")
@model_argument
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable; all parameters without it.")
@click.option("--steps", is_flag=True, help="Tell the derivation step by step, every step tested by number.")
@click.option("--algorithm", is_flag=True, help="Print backpropagation as an algorithm, and its cost.")
@click.option("--deltas", is_flag=True, help="Write δ for the cotangents of pre-activations, layer by layer.")
@click.option("--shapes", is_flag=True, help="Write the shape of each factor under it (matrix and latex).")
@click.option("--form", type=click.Choice([*FORMS, "json"]), help="The notation.  [default: matrix]")
@click.option("--latex-document", "whole", is_flag=True, help="Write a whole LaTeX article; --steps adds them to it.")
@click.option("--jacobian", nargs=2, metavar="Y X", help="Of ∂Y/∂X the element, the structure and the matrix.")
@click.option("--hessian", metavar="X", help="The same of the second derivatives of the objective by X.")
@click.option("--diagonal", metavar="X", help="The diagonal of that Hessian alone.")
@click.option(
    "--hvp", multiple=True, metavar="X", help="The Hessian by X, or by several X together, times a direction."
)
@click.option("--gauss-newton", nargs=2, metavar="Z X", help="Its part without the second derivatives of Z by X.")
@click.option("--per-sample", metavar="X", help="The gradient by X of each sample.")
@click.option("--layout", type=click.Choice(LAYOUTS), help="Of a Jacobian of a number.  [default: numerator]")
@click.option("--at", "at", metavar="PLACES", help="Where a Jacobian is written out, as in 1,:,i,: (: is all).")
@size_option
@click.option("-o", "--output", default="-", metavar="FILE", help="The file to write; it is printed without.")
@reporting
def command(
    model: str,
    wrt: tuple[str, ...],
    steps: bool,
    algorithm: bool,
    deltas: bool,
    shapes: bool,
    form: str | None,
    whole: bool,
    jacobian: tuple[str, str] | None,
    hessian: str | None,
    diagonal: str | None,
    hvp: tuple[str, ...],
    gauss_newton: tuple[str, str] | None,
    per_sample: str | None,
    layout: str | None,
    at: str | None,
    sizes: Sizes,
    output: str,
) -> None:
    """Print the gradients of MODEL, or one other derivative.

    latex prints displays for a document of your own, python prints NumPy. A Jacobian is written out with dots, or in
    full along axes that --size makes small; of a model with repetitions --size also sets the depth.
    """
    if whole and form not in (None, "latex"):
        raise GradcError(f"--latex-document is LaTeX: leave --form {form} away")
    ways: dict[str, Callable[[Differentiable], DerivedModel]] = {}
    if jacobian:
        ways["--jacobian"] = lambda m: m.jacobian(*jacobian)
    if hessian:
        ways["--hessian"] = lambda m: m.hessian(hessian)
    if diagonal:
        ways["--diagonal"] = lambda m: m.hessian_diagonal(diagonal)
    if hvp:
        ways["--hvp"] = lambda m: m.hvp(*hvp)
    if gauss_newton:
        ways["--gauss-newton"] = lambda m: m.gauss_newton(gauss_newton[1], of=gauss_newton[0])
    if per_sample:
        ways["--per-sample"] = lambda m: m.per_sample(per_sample)
    if len(ways) > 1:
        raise GradcError(f"one derivative at a time: {' or '.join(ways)}")
    way, of = next(iter(ways.items()), (None, None))
    written_out = way in ("--jacobian", "--hessian")
    of_gradients = {"--wrt": wrt, "--deltas": deltas, "--shapes": shapes, "--algorithm": algorithm}
    if algorithm and (steps or shapes or whole or form not in (None, "matrix", "latex")):
        raise GradcError("--algorithm is printed by itself, or with --form latex")
    of_jacobians = {"--layout": layout, "--at": at, **({"--steps": steps, "--latex-document": whole} if way else {})}
    for name, value in (of_gradients if written_out else {**of_jacobians, **(of_gradients if way else {})}).items():
        if value:
            raise GradcError(f"{name} goes without {way}" if way else f"{name} goes with --jacobian")
    (net, left), form = load_sized(model, sizes), form or "matrix"
    if left and not written_out:
        raise GradcError(f"formulas hold at every size: --size {next(iter(left))} goes with --jacobian")
    if of is not None and written_out:
        found = Jacobian(of(net), layout or LAYOUTS[0], left, places(at) if at else None)
        text = found.article(steps=steps) if whole else (found.steps(form) if steps else found.printed(form)) + "\n"
    elif of is not None:
        text = derived(of(net), form) + "\n"
    elif algorithm:
        text = f"{algorithm_of(net.gradient(*wrt), form)}\n"
        if form == "matrix":
            text += f"\n{costs_of(net, *wrt)}\n"
    elif whole:
        text = article(net.gradient(*wrt), steps=steps, shapes=shapes, deltas=deltas)
    else:
        text = _printed(net.gradient(*wrt), form, steps, deltas, shapes) + "\n"
    if net.repeated is not None and net.repeated.why_not is not None:
        click.echo(f"note: derived layer by layer, for this depth only: {net.repeated.why_not}", err=True)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}")


def _printed(gradient: Gradient, form: str, steps: bool, deltas: bool, shapes: bool) -> str:
    """The formulas of a gradient, or its steps, in a notation."""
    if steps:
        return steps_of(gradient, form)
    if form == "json":
        return json.dumps(to_json(gradient.program), indent=2, ensure_ascii=False)
    if form == "latex":
        return latex_of(gradient, deltas=deltas, shapes=shapes)
    if shapes and form == "matrix":
        return shapes_of(gradient, deltas)
    return formulas_of(gradient, form, deltas)
