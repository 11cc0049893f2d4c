"""Training: a model and data in, parameters and what was measured epoch by epoch out.

The loop itself is the emitted module's `fit`; this module lays the data before it, measures after each epoch and
stops where the loss is no longer a number. The same seed gives the same parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import derive
from codegen.api import compile
from codegen.data import Data, names_for
from derive.errors import GradcError
from derive.language.rules import KEPT
from derive.program import Program, Tensor

Array = NDArray[Any]


class RunStoppedError(GradcError):
    """A run that cannot go on: the loss is no longer a number."""


@dataclass(frozen=True)
class Measure:
    """The loss over a set of samples, and the part that is classified rightly where there are classes."""

    loss: float
    accuracy: float | None

    def __str__(self) -> str:
        return f"{self.loss:.4f}" + ("" if self.accuracy is None else f"  accuracy {self.accuracy:7.2%}")


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch; ``held`` is of the samples that were held out."""

    number: int
    train: Measure
    held: Measure | None

    def __str__(self) -> str:
        held = "" if self.held is None else f"   held out: loss {self.held}"
        return f"epoch {self.number:3}   train: loss {self.train}{held}"


@dataclass(frozen=True)
class Training:
    """The outcome: parameters by name, the epochs, and the emitted module that was trained.

    Where the model keeps an ``average`` of its parameters, ``averaged`` is what was measured with it: of the samples
    that were held out, if there are any.
    """

    params: dict[str, Array]
    epochs: tuple[Epoch, ...]
    module: Any
    average: dict[str, Array] | None = None
    averaged: Measure | None = None


def train(
    model: derive.Differentiable,
    data: Data,
    *,
    epochs: int = 20,
    batch_size: int = 32,
    seed: int = 0,
    dtype: str | None = None,
    holdout: float = 0.2,
    threads: int = 1,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Training:
    """Train all parameters of ``model``; ``on_epoch`` is called after each epoch.

    Raises RunStoppedError where the loss is no longer finite.
    """
    program = model.program
    if not program.optimizers or program.objective is None:
        raise GradcError(
            f"{program.name} does not say how to train it: it needs minimize and an optimizer, as in adam()"
        )
    known = {d.name for d in program.dims}
    sizes = {name: size for name, size in data.sizes.items() if name in known}
    module = compile(model, dtype=dtype, sizes=sizes, threads=threads)
    kept, held = data.split(holdout, seed)
    train_arrays, held_arrays = (None if d is None else cast(d, module.DTYPE) for d in (kept, held))
    assert train_arrays is not None
    params = module.init_params(seed)
    done: list[Epoch] = []

    def measured(number: int, _: float) -> None:
        epoch = Epoch(
            number,
            measure(program, module, params, train_arrays),
            None if held_arrays is None else measure(program, module, params, held_arrays),
        )
        if not math.isfinite(epoch.train.loss):
            raise RunStoppedError(f"the loss is {epoch.train.loss} after epoch {number}; try a smaller learning rate")
        done.append(epoch)
        if on_epoch is not None:
            on_epoch(epoch)

    size = max(1, min(batch_size, kept.count))
    wanted = [program.objective, *(after for _, after in program.updates)]
    given = {name: train_arrays[name] for name in names_for(program, wanted)}
    average: dict[str, Array] = {}
    kept_too = {"average": average} if keeps_average(program) else {}
    module.fit(params, given, epochs=epochs, batch_size=size, seed=seed, on_epoch=measured, **kept_too)
    found = {name: np.array(a) for name, a in params.items()}
    if not kept_too:
        return Training(found, tuple(done), module)
    arrays = train_arrays if held_arrays is None else held_arrays
    return Training(found, tuple(done), module, average, measure(program, module, average, arrays))


def keeps_average(program: Program) -> bool:
    """Whether training keeps an average of the parameters."""
    return any(KEPT in call.rule.state for call in program.optimizers)


def measure(program: Program, module: Any, params: dict[str, Array], arrays: dict[str, Array]) -> Measure:
    """The loss, and the accuracy where a target has classes and an output says which.

    Both are of the model as it is used, where that differs from the one that is trained.
    """
    used = program.inference or program
    assert used.objective is not None
    form = {} if program.inference is None else {"training": False}
    given = {name: arrays[name] for name in names_for(used, [used.objective])}
    loss = float(module.loss(params, **form, **given))
    pair = _classes(program)
    if pair is None:
        return Measure(loss, None)
    target, output, axis = pair
    given = {name: arrays[name] for name in names_for(used, program.outputs)}
    found, truth = module.forward(params, **given)[output.name], arrays[target.name]
    if axis is None:
        right = (found > 0.5) == (truth > 0.5)
    else:
        right = np.argmax(found, axis) == (truth if truth.ndim < found.ndim else np.argmax(truth, axis))
    return Measure(loss, float(np.mean(right)))


def _classes(program: Program) -> tuple[Tensor, Tensor, int | None] | None:
    """A target with classes, the output that guesses them, and the class axis of that output.

    Without a class axis the output is the probability of class 1.
    """
    for t in program.declared:
        for p in t.properties if t.kind == "target" else ():
            for output in program.outputs:
                if p.name in ("one_hot", "simplex") and output.axes == t.axes:
                    return t, output, p.axis
                if p.name == "binary" and output.axes == t.axes:
                    return t, output, None
                if p.name == "labels" and output.rank == t.rank + 1:
                    for k in range(output.rank):
                        if output.axes[k] == p.extent and output.axes[:k] + output.axes[k + 1 :] == t.axes:
                            return t, output, k
    return None


def cast(data: Data, dtype: Any) -> dict[str, Array]:
    """The arrays, real ones in the precision of a module."""
    return {k: np.ascontiguousarray(a.astype(dtype) if a.dtype.kind == "f" else a) for k, a in data.arrays.items()}
