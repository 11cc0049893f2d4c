"""What a workload is: a model in gradc's language, its data, and the same loss in the words of every peer.

In: nothing. Out: the classes that the kinds of workloads are made of. All who take part compute the same steps from
the same weights on the same mini-batches, so that their weights can be compared after an epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

ONE = "gradc on one thread"  # the way that stands beside gradc's own where that has more threads
Array = NDArray[np.floating]
Arrays = dict[str, Array]


def as_it_is(arrays: Arrays) -> Arrays:
    """What a form does with arrays that have the layout of the model already."""
    return arrays


@dataclass(frozen=True)
class Form:
    """A loss in a peer's words: a function of parameters and a mini-batch, both by name.

    ``data`` and ``start`` lay a mini-batch and the first weights out as this form likes them best, before the clock
    starts; ``found`` brings weights back into the layout of the model. ``ways`` names the ways in which the library
    can run it, all of them where it is empty.
    """

    loss: Callable[[Any, Any], Any]
    data: Callable[[Arrays], Arrays] = as_it_is
    start: Callable[[Arrays], Arrays] = as_it_is
    found: Callable[[Arrays], Arrays] = as_it_is
    ways: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """What runs an epoch, its weights at this moment, and where that is open, how many evaluations the epoch took."""

    run: Callable[[], None]
    weights: Callable[[], Arrays]
    evaluations: Callable[[], int] | None = None


@dataclass(frozen=True)
class Workload(ABC):
    """A model and how it is trained.

    ``least`` and ``least64`` are the ratios of the strongest peer's time to gradc's that are asked for on one thread,
    ``scaling`` that of gradc's time on one thread to that on two; ``why`` says why they are missed, where they are.
    ``within`` is how far weights of two libraries may be apart in float32, in parts of their change.
    """

    name: str
    batch: int
    optimizer: str = "sgd"
    rate: float = 0.01
    least: float | None = None
    least64: float | None = 1.1
    scaling: float = 1.0
    why: str = ""
    within: float = 2e-3

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
    unit: ClassVar[str] = "step"

    @property
    @abstractmethod
    def title(self) -> str:
        """What is trained, in a few words."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers are trained."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Operations of the matrix products of a step; the first layer has no gradient by its input."""

    @abstractmethod
    def model(self) -> str:
        """The model file."""

    @abstractmethod
    def data(self, dtype: str, steps: int) -> Arrays:
        """The inputs and targets of so many mini-batches; samples lie along the first axis."""

    def in_jax(self, jax: Any) -> dict[str, Form]:
        """The loss in JAX, in each form worth timing."""
        return {}

    def in_torch(self, torch: Any) -> dict[str, Form]:
        """The loss in PyTorch, in each form worth timing."""
        return {}

    def in_numpy(self) -> Callable[[Arrays, Arrays], Any] | None:
        """The gradients in NumPy by hand, where someone would write that."""
        return None

    def asked(self, dtype: str, threads: int) -> float | None:
        """The ratio to the strongest peer that is asked for."""
        return None if threads > 1 else self.least if dtype == "float32" else self.least64

    def agree(self, dtype: str) -> float:
        """How far weights may be apart after an epoch, in parts of their change; ``within`` that in float32."""
        return self.within if dtype == "float32" else 1e-8

    def steps(self, milliseconds: float) -> int:
        """Steps of an epoch of about that much work, in a data set of a common size."""
        return max(4, min(2000, int(milliseconds * 1e-3 * 30e9 / self.flops)))

    def pieces(self, data: Arrays) -> list[Arrays]:
        """The mini-batches, in order."""
        count = len(next(iter(data.values())))
        return [{k: a[i : i + self.batch] for k, a in data.items()} for i in range(0, count, self.batch)]


def one_hot(rng: np.random.Generator, count: int, classes: int, dtype: str) -> Array:
    """Classes drawn evenly, as rows with one 1."""
    return np.eye(classes, dtype=dtype)[rng.integers(0, classes, count)]


def labelled(piece: Arrays) -> Arrays:
    """The classes of Y as numbers, which is PyTorch's quicker form of the same loss."""
    return piece | {"Y": piece["Y"].argmax(axis=1)}
