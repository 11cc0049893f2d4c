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


class Failure(click.ClickException):
    """A message on standard error and an exit code, without a traceback."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


def reporting(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a user's mistake inside ``function`` into its message and exit code 2."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SourceError as e:
            raise Failure(str(e), 2) from e
        except GradcError as e:
            raise Failure(f"error: {e}", 2) from e

    return wrapped


class SizeType(click.ParamType):
    """``NAME=INTEGER``, the extent of a dim."""

    name = "NAME=INT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, number = str(value).partition("=")
        if not name.strip().isidentifier() or not number.strip().isdecimal() or int(number) < 1:
            self.fail(f"{value!r} is not a size such as h=256", param, ctx)
        return name.strip(), int(number)


size_option = click.option(
    "--size", "sizes", type=SizeType(), multiple=True, help="The extent of a dim, as in h=256; may be repeated."
)
model_argument = click.argument("model", metavar="MODEL")
dtype_option = click.option("--dtype", type=click.Choice(["float32", "float64"]), help="The precision.")


def load_model(path: str) -> derive.Differentiable:
    """The model in a file, or on standard input for ``-``."""
    return derive.parse(sys.stdin.read(), name="<stdin>") if path == "-" else derive.load(path)
