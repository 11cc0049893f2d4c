"""What an emitted function is before it is text: the contract between `emit` and the targets.

`Layout` says where parameters lie in the flat vector, `Function` what is computed from what, `Kernel` what a
target made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codegen.naming import Names
from codegen.plan import Plan
from codegen.steps import Gemm, Part, Step
from derive.expr import Expr
from derive.program import OptimizerCall, Program, Tensor


@dataclass(frozen=True)
class Slice:
    """A parameter's place in the flat vector."""

    tensor: Tensor
    offset: int
    size: int


@dataclass(frozen=True)
class Function:
    """One function of the module.

    ``outputs`` are filled in arrays that the caller gives, ``gradients`` (parameter, cotangent) in the flat
    gradient, ``returned`` is a number that the function returns. ``order`` are the parts and products as
    scheduled, ``plan`` the same fused and placed.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    gradients: tuple[tuple[Tensor, Tensor], ...]
    returned: Tensor | None
    order: tuple[Part | Gemm, ...]
    plan: Plan


@dataclass(frozen=True)
class Kernel:
    """The text of a function: what it takes, its lines, and what a caller passes before the arrays."""

    name: str
    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    leading: tuple[str, ...] = ()


@dataclass(frozen=True)
class Update:
    """The optimizer of a model: its hyperparameters with values, its state, its equations in order."""

    call: OptimizerCall
    hyper: tuple[tuple[str, float], ...]
    state: tuple[str, ...]
    equations: tuple[tuple[str, Expr], ...]


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
