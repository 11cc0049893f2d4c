"""`gradc check`: every gradient of the emitted module against numerical ones, as a table."""

from __future__ import annotations

import click

from codegen.commands.common import Sizes, load_sized, model_argument, reporting, size_option
from codegen.verify import check
from codegen.verify_products import check_products
from derive.errors import GradcError


@click.command("check")
@model_argument
@size_option
@click.option("--wrt", multiple=True, metavar="NAME", help="A variable to check; all parameters without it.")
@click.option("--hessian", is_flag=True, help="Check Hessian products over all parameters instead.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--target", type=click.Choice(["numba", "numpy"]), default="numba", show_default=True)
@reporting
def command(model: str, sizes: Sizes, wrt: tuple[str, ...], hessian: bool, seed: int, target: str) -> int:
    """Compare every gradient of MODEL with central differences and complex steps.

    The check runs at small prime sizes unless --size says otherwise.
    """
    net, left = load_sized(model, sizes)
    if hessian and wrt:
        raise GradcError("--hessian is of all parameters together: leave --wrt away")
    if hessian:
        result = check_products(net, left, seed=seed, target=target)
    else:
        result = check(net, left, list(wrt) or None, seed=seed, target=target)
    click.echo(str(result))
    return 0 if result.ok else 1
