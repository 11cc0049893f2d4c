"""`gradc verify-formula`: formulas of a person's own, proved or refuted with a witness and a reason."""

from __future__ import annotations

from pathlib import Path

import click

from codegen.commands.common import Sizes, load_sized, model_argument, reporting, size_option
from derive.claims import Stated, formulas_in
from derive.claims.layers import verify_lines
from derive.errors import GradcError


@click.command("verify-formula")
@model_argument
@click.argument("formulas", nargs=-1, metavar="[FORMULA|FILE]...")
@click.option("-f", "--file", "path", metavar="FILE", help="A file of formulas, a line each; # begins a comment.")
@size_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@reporting
def command(model: str, formulas: tuple[str, ...], path: str | None, sizes: Sizes, seed: int) -> int:
    """Say of each FORMULA whether it is right for MODEL.

    A formula is an equation in the language of models over its tensors and their cotangents, "dW1 = X' @ dZ1" or
    "dW1[i,j] = sum[n] X[n,i]*dZ1[n,j]", or a Jacobian, "d(P, z)[i,j] = ...". Where layers repeat, "dW{l} = ..." speaks
    of any layer. Each is compared with the cotangents
    behind it as they truly are, so that only a line that is wrong by itself is refuted. What gradc prints is read too:
    dA ⊙ relu′(Z), Xᵀ dZ, Σ_n, NumPy, and definitions, "dx = E/S, with E = exp(x), S = sum(E)".

    A FORMULA without = is a file of formulas. Of a line that would be right were it not for a refuted one above it is
    said that it follows; a name that the model does not have, and that later lines use, is noted as one of yours.

    Exit code 1 says that some formula is refuted.
    """
    lines: list[str | Stated] = []
    for given in formulas:
        lines += _formulas(given) if "=" not in given and Path(given).is_file() else [given]
    lines += _formulas(path) if path is not None else []
    if not lines:
        raise GradcError('no formula given; write one such as "dW1 = X\' @ dZ1", or -f FILE')
    net, left = load_sized(model, sizes)
    verdicts = verify_lines(net.program, net.repeated, lines, sizes=left, seed=seed)
    click.echo("\n".join(map(str, verdicts)))
    return 0 if all(v.ok for v in verdicts) else 1


def _formulas(path: str) -> list[Stated]:
    """The formulas in a file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise GradcError(f"{path} is not UTF-8 text") from None
    return formulas_in(text, path)
