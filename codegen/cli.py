"""The command line `gradc`: names the commands and turns every outcome into an exit code.

In: arguments. Out: 0 ok, 1 a check failed, 2 bad input, 3 a run stopped, 130 interrupted. A command's module is
loaded only when that command runs, so that help and mistyped options answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

COMMANDS = {
    "new": "Write a model file to start from.",
    "derive": "Print the derived gradients as formulas.",
    "summary": "Print tensors, shapes, parameters, operations and formulas.",
    "build": "Write a self-contained Python module.",
    "check": "Compare every gradient with numerical ones.",
    "verify-formula": "Prove or refute formulas of your own.",
    "report": "Write a page with the graph, the formulas, their derivation and their check.",
    "bench": "Time the emitted code against its matrix products and the machine's peak.",
    "train": "Train on data and save the parameters.",
    "solve": "Minimize over all data by L-BFGS-B or a Newton method.",
}


class _Lazy(click.Group):
    """A group whose commands live in `codegen.commands.<name>` and are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"codegen.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradc", prog_name="gradc")
def cli() -> None:
    """Turn a written model into its gradient: formulas to read and code to run.

    A MODEL is a .gc file, or - for standard input.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    try:
        code = cli.main(arguments, prog_name="gradc", standalone_mode=False)
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output went away: nothing is left to tell it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """The entry point of the installed script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
