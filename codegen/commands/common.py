"""What the commands share: reading a model, sizes from the command line, and errors that become messages.

In: what a user typed. Out: a model, numbers, or a `click` exception that carries the exit code.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import IO, Any, ParamSpec, TypeVar

import click

import derive
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


def _parse_sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    sizes = {}
    for value in values:
        name, _, number = (part.strip() for part in value.partition("="))
        if not name.isidentifier() or not number.isdecimal() or int(number) < 1:
            raise click.BadParameter(f"{value!r} is not a size such as h=256", ctx, param)
        sizes[name] = int(number)
    return sizes


size_option = click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=INT",
    callback=_parse_sizes,
    help="The extent of a dim, as in h=256; may be repeated.",
)
model_argument = click.argument("model", metavar="MODEL")
dtype_option = click.option("--dtype", type=click.Choice(["float32", "float64"]), help="The precision.")


def load_model(path: str) -> derive.Differentiable:
    """The model in a file, or on standard input for ``-``."""
    if path != "-":
        return derive.load(path)
    try:
        return derive.parse(sys.stdin.read(), name="<stdin>")
    except UnicodeDecodeError as e:
        raise GradcError("standard input is not UTF-8 text") from e
