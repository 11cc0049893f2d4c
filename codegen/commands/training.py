"""What `gradc train` and `gradc report` share: the options that say on what and how to train.

In: what a user typed. Out: data as the model wants them, and a training.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypedDict, TypeVar

import click

import derive
from codegen import data as datasets
from codegen import train as training
from codegen.commands.common import DATA_HELP, dtype_option, threads_option

F = TypeVar("F", bound=Callable[..., Any])


class How(TypedDict):
    """The options' values."""

    source: str | None
    targets: tuple[str, ...]
    epochs: int
    batch: int
    seed: int
    holdout: float
    dtype: str | None
    threads: int


def training_options(*, required: bool) -> Callable[[F], F]:
    """A decorator that gives a command the options of `How`; without ``required`` the data may be left away."""
    options = [
        click.option("--data", "source", required=required, help=DATA_HELP),
        click.option("--target", "targets", multiple=True, metavar="COL", help="A column of the .csv that is target."),
        click.option("--epochs", type=click.IntRange(1), default=20, show_default=True),
        click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Samples in a step."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
        click.option("--holdout", type=float, default=0.2, show_default=True, help="Part that is only measured."),
        dtype_option,
        threads_option,
    ]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def load_data(net: derive.Differentiable, how: How, sizes: Mapping[str, int]) -> datasets.Data | None:
    """The data that were given, in the layout of the model."""
    if how["source"] is None:
        return None
    return datasets.load(how["source"], net.program, targets=how["targets"], sizes=sizes)


def train(
    net: derive.Differentiable, data: datasets.Data, how: How, on_epoch: Callable[[training.Epoch], None]
) -> training.Training:
    """Train; ``on_epoch`` is called after each epoch.

    Raises RunStoppedError where the loss is no longer finite, KeyboardInterrupt at the end of an interrupted epoch.
    """
    with _between_epochs(on_epoch) as after:
        return training.train(
            net,
            data,
            epochs=how["epochs"],
            batch_size=how["batch"],
            seed=how["seed"],
            dtype=how["dtype"],
            holdout=how["holdout"],
            threads=how["threads"],
            on_epoch=after,
        )


@contextmanager
def _between_epochs(on_epoch: Callable[[training.Epoch], None]) -> Iterator[Callable[[training.Epoch], None]]:
    """After the first epoch, which compiles, an interrupt is raised where an epoch ends, a second one at once.

    While Numba looks at what a compiled function is given, it makes another error of an interrupt.
    """
    before, asked = signal.getsignal(signal.SIGINT), list[int]()

    def ask(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    def after(epoch: training.Epoch) -> None:
        if before is signal.default_int_handler and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, ask)
        on_epoch(epoch)
        if asked:
            raise KeyboardInterrupt

    try:
        yield after
    finally:
        if signal.getsignal(signal.SIGINT) is ask:
            signal.signal(signal.SIGINT, before)
