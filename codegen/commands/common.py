"""What the commands share: reading a model, sizes from the command line, and errors that become messages.

In: what a user typed. Out: a model, numbers, or a `click` exception that carries the exit code.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any, ParamSpec, TypeVar

import click

import derive
from codegen.sources import BUNDLED
from derive.errors import GradcError, SourceError

P = ParamSpec("P")
R = TypeVar("R")


class BadInput(click.ClickException):
    """A message on standard error without a traceback, and exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


class Stopped(BadInput):
    """A run that could not go on: exit code 3."""

    exit_code = 3


def reporting(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a user's mistake inside ``function`` into its message and exit code 2."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SourceError as e:
            raise BadInput(str(e)) from e
        except GradcError as e:
            raise BadInput(f"error: {e}") from e
        except BrokenPipeError:
            raise
        except OSError as e:
            raise BadInput(f"error: {e.filename or 'a file'}: {e.strerror}") from e

    return wrapped


Sizes = dict[str, int | list[int]]
"""What --size gives: an extent, or the widths of all layers."""


def _parse_sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Sizes:
    sizes: Sizes = {}
    for value in values:
        name, _, written = (part.strip() for part in value.partition("="))
        numbers = [part.strip() for part in written.split(",")]
        if not name.isidentifier() or not all(n.isdecimal() and int(n) for n in numbers):
            message = f"{value!r} is not a size such as h=256, or a list such as n=784,30,10"
            raise click.BadParameter(message, ctx, param)
        sizes[name] = int(numbers[0]) if len(numbers) == 1 else [int(n) for n in numbers]
    return sizes


size_option = click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=INT[,INT…]",
    callback=_parse_sizes,
    help="The extent of a dim, as in h=256, or the widths of layers, as in n=784,30,10; may be repeated.",
)
DATA_HELP = f"A .npz or .csv file, or one of {', '.join(BUNDLED)}."
model_argument = click.argument("model", metavar="MODEL")
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Large batches run in blocks of samples, on so many threads at most.",
)
dtype_option = click.option("--dtype", type=click.Choice(["float32", "float64"]), help="The precision.")


def load_model(path: str, freeze: Sequence[str] = ()) -> derive.Differentiable:
    """The model in a file, or on standard input for ``-``; ``freeze`` names parameters that are not trained."""
    if path != "-":
        return derive.load(path, freeze=freeze)
    try:
        return derive.parse(sys.stdin.read(), name="<stdin>", freeze=freeze)
    except UnicodeDecodeError as e:
        raise GradcError("standard input is not UTF-8 text") from e


def load_sized(path: str, sizes: Sizes, freeze: Sequence[str] = ()) -> tuple[derive.Differentiable, dict[str, int]]:
    """The model in a file at the depth that the sizes ask for, and the sizes that are left to set."""
    return load_model(path, freeze).sized(sizes)
