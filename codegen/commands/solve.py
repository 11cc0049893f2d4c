"""`gradc solve`: a model and data in, the parameters that minimize its objective over all of them."""

from __future__ import annotations

import time
from pathlib import Path

import click

from codegen import data as datasets
from codegen.commands.common import DATA_HELP, Sizes, Stopped, load_sized, model_argument, reporting, size_option
from codegen.solve import METHODS, Iterate, Solution, solve
from derive.errors import GradcError
from derive.program import Program


@click.command("solve")
@model_argument
@click.option("--data", "source", required=True, help=DATA_HELP)
@click.option("--target", "targets", multiple=True, metavar="COL", help="A column of the .csv that is target.")
@click.option("--method", type=click.Choice(list(METHODS)), default="lbfgsb", show_default=True)
@click.option("--tol", type=float, default=1e-6, show_default=True, help="What no entry of the gradient may exceed.")
@click.option("--max-iterations", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the start.")
@click.option("--holdout", type=float, default=0.0, show_default=True, help="Part that is only measured.")
@click.option("--freeze", multiple=True, metavar="NAME", help="A parameter that stays as it is; may be repeated.")
@click.option("-o", "--output", metavar="PARAMS.npz", help="Where to save the parameters.")
@size_option
@reporting
def command(
    model: str,
    source: str,
    targets: tuple[str, ...],
    method: str,
    tol: float,
    max_iterations: int,
    seed: int,
    holdout: float,
    freeze: tuple[str, ...],
    output: str | None,
    sizes: Sizes,
) -> int:
    """Minimize the objective of MODEL over all data, within the bounds of its parameters.

    lbfgsb needs the gradient alone. newton, trust-ncg, trust-krylov and trust-constr use Hessian products too; of these
    trust-constr keeps bounds.
    """
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise GradcError(f"cannot write {output}: its folder is not there")
    net, left = load_sized(model, sizes, freeze)
    found = datasets.load(source, net.program, targets=targets, sizes=left)
    table = _Table()
    start = time.perf_counter()
    solution = solve(
        net,
        found,
        method=method,
        tol=tol,
        max_iterations=max_iterations,
        seed=seed,
        holdout=holdout,
        on_iterate=table,
    )
    table.end()
    if output is not None:
        solution.module.save(output, solution.params)
    for line in _summary(net.program, solution, time.perf_counter() - start):
        click.echo(line)
    if output is not None:
        click.echo(f"saved {output}")
    if solution.interrupted:
        raise KeyboardInterrupt
    if not solution.converged:
        raise Stopped(f"stopped: {solution.reason}")
    return 0


class _Table:
    """The iterates as lines: the first ten, then every tenth, then every hundredth, and the last."""

    def __init__(self) -> None:
        self.waiting: Iterate | None = None

    def __call__(self, iterate: Iterate) -> None:
        n = iterate.number
        shown = n < 10 or (n % 10 == 0 and n < 100) or n % 100 == 0
        self.waiting = None if shown else iterate
        if shown:
            click.echo(str(iterate))

    def end(self) -> None:
        """The last one, where it has not been shown."""
        if self.waiting is not None:
            click.echo(str(self.waiting))


def _summary(program: Program, solution: Solution, seconds: float) -> list[str]:
    """What came out, and why it ended."""
    count = sum(solution.params[t.name].size for t in program.trained)
    rounds = solution.iterates[-1].number if solution.iterates else 0
    lines = ["", f"{program.name}: {count:,} parameters, {rounds} iterations in {seconds:.1f} s"]
    if solution.iterates:
        last = solution.iterates[-1]
        lines += [f"loss {last.loss:.10g}, |gradient| {last.slope:.1e}: {solution.reason}"]
    for name, (low, high) in solution.active.items():
        ends = [f"{n:,} at the {end} bound" for n, end in ((low, "lower"), (high, "upper")) if n]
        where = " and ".join(ends) or "none at a bound"
        lines.append(f"{name}: of {solution.params[name].size:,} entries {where}")
    lines.append(f"all data: loss {solution.measured}" if solution.held is None else f"held out: loss {solution.held}")
    return lines
