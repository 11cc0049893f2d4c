"""What an emitted function is before it is text: the contract between `emit` and the targets.

`Layout` says where parameters lie in the flat vector, `Function` what is computed from what, `Kernel` what a
target made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from codegen.naming import Names
from codegen.plan import Plan
from codegen.steps import Gemm, Part, RoundParts, Routine, Step
from derive.expr import Dim, Expr
from derive.functions import Parameter
from derive.program import OptimizerCall, Program, Tensor
from derive.rewrite import walk


@dataclass(frozen=True)
class Slice:
    """A parameter's place in the flat vector."""

    tensor: Tensor
    offset: int
    size: int


def pieces(slices: Iterable[Slice]) -> tuple[tuple[int, int], ...]:
    """Where slices of the flat vector begin and end; neighbours are one piece."""
    found: list[tuple[int, int]] = []
    for s in slices:
        if found and found[-1][1] == s.offset:
            found[-1] = found[-1][0], s.offset + s.size
        else:
            found.append((s.offset, s.offset + s.size))
    return tuple(found)


@dataclass(frozen=True)
class Function:
    """One function of the module.

    ``outputs`` are filled in arrays that the caller gives, ``gradients`` (parameter, cotangent) in the flat
    gradient, ``returned`` is a number that the function returns. ``order`` are the parts and products as
    scheduled, ``plan`` the same fused and placed.

    Where samples run in blocks, the plan calls ``block``, the function of one block, which leaves its partial ``sums``
    in a vector and in which ``batch`` is the number of its samples and ``every`` that of all; otherwise ``serial`` may
    say why they do not. Parameters that are ``descended`` may be changed in place of their gradients.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    gradients: tuple[tuple[Tensor, Tensor], ...]
    returned: Tensor | None
    order: tuple[Part | RoundParts | Gemm | Routine, ...]
    plan: Plan
    block: Function | None = None
    sums: tuple[Slice, ...] = ()
    every: Dim | None = None
    batch: str = ""
    serial: str = ""
    descended: tuple[Tensor, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, those of a block too."""
        return (*self.plan.steps, *(self.block.steps if self.block else ()))

    @property
    def slices(self) -> dict[Tensor, Tensor]:
        """Of which tensor of the program each slice in a recurrence is a round."""
        return {s: t for item in self.order if isinstance(item, RoundParts) for s, t in item.slices.items()}


_MAKES = re.compile(r"\bnp\.(?!u?int|float)|\.reshape\(")  # what is no conversion of a number


@dataclass(frozen=True)
class Kernel:
    """The text of a function: what it takes, its lines, and what a caller passes before the arrays.

    ``kinds`` are the types of what it takes, where a target has any: all of them, or those behind the first. Functions
    that it alone calls are ``parts`` of it; one that is ``parallel`` runs its loop on threads.

    >>> [Kernel("f", (), (line,)).allocates for line in ("a = np.empty(n, real)", "a[0] = np.int64(1)")]
    [True, False]
    """

    name: str
    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    leading: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    parts: tuple[Kernel, ...] = ()
    parallel: bool = False

    @property
    def allocates(self) -> bool:
        """Whether it makes arrays of its own."""
        return "npy_rng" in self.kinds or any(_MAKES.search(line) for line in self.lines)

    @property
    def together(self) -> tuple[Kernel, ...]:
        """The function behind its parts."""
        return (*self.parts, self)


@dataclass(frozen=True)
class Group:
    """One optimizer and what it trains.

    ``hyper`` gives the keyword of each of its hyperparameters, ``runs`` are the pieces of the flat vector that its
    equations change, none where it is all of it.
    """

    call: OptimizerCall
    hyper: dict[str, str]
    equations: tuple[tuple[str, Expr], ...]
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Schedule:
    """A hyperparameter that changes: its keyword, its function ``name(t, T)``, as it is written, as Python text."""

    keyword: str
    name: str
    written: str
    text: str


@dataclass(frozen=True)
class Update:
    """The optimizers of a model.

    ``hyper`` are the keywords of hyperparameters that stay, with their values as text; ``state`` the names of vectors
    that are kept from step to step, ``average`` last; ``runs`` the pieces of the flat vector that are trained.
    """

    groups: tuple[Group, ...]
    hyper: tuple[tuple[str, str], ...]
    schedules: tuple[Schedule, ...]
    state: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]

    def reads(self, name: str) -> bool:
        """Whether an equation reads what is given under that name."""
        return any(x == Parameter(name) for g in self.groups for _, e in g.equations for x in walk(e))

    @property
    def last(self) -> list[str]:
        """What the epoch is given as the number of steps, in the words of `fit`; nothing where nobody reads it."""
        return ["int(epochs) * -(-count // size)"] if self.schedules or self.reads("T") else []

    def heading(self, group: Group) -> list[str]:
        """The comment above the statements of one optimizer among others."""
        whom = ", ".join(group.call.names) or "all others"
        return ["", f"# {group.call.name}, of {whom}"] if len(self.groups) > 1 else []

    @property
    def title(self) -> str:
        """The names of the rules."""
        return " and ".join(dict.fromkeys(g.call.name for g in self.groups))


@dataclass(frozen=True)
class Setting:
    """What all functions of one module share."""

    program: Program
    dtype: str
    names: Names
    extents: dict[str, str]
    sizes: Mapping[str, int]
    slices: tuple[Slice, ...]
    comment: Callable[[Step | Part], list[str]] = field(compare=False)
    threads: int = 1

    @property
    def total(self) -> int:
        """How many numbers all parameters are."""
        return sum(s.size for s in self.slices)

    @property
    def trained(self) -> int | None:
        """How many of them, the first ones, the optimizer changes; None where it is all of them."""
        kept = sum(s.size for s in self.slices if s.tensor.kind == "state")
        return self.total - kept if kept else None

    @property
    def batch(self) -> str | None:
        """The identifier of the batch extent."""
        return self.extents[self.program.batch.name] if self.program.batch else None
