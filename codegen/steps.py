"""What a plan consists of: matrix products and loop nests over scalar statements.

A `Step` is a `Gemm` or a `Nest`. A nest is a tree of loops with writes at its leaves; every expression in
it is pointwise, and every access says by its places where it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from derive.expr import Access, Expr, Letter
from derive.program import Equation, Tensor
from derive.rewrite import accesses


@dataclass(frozen=True, eq=False)
class Part:
    """``out[letters] = body``, the body pointwise or one reduction of something pointwise.

    ``origin`` is the model's equation that this computes, or helps to compute.
    """

    out: Tensor
    letters: tuple[Letter, ...]
    body: Expr
    origin: Equation


@dataclass(frozen=True)
class Operand:
    """A matrix or vector as a product sees it: a tensor, its axes grouped, perhaps transposed.

    ``groups`` are the letters of the rows and of the columns as they lie in memory; one group is a vector.
    """

    tensor: Tensor
    groups: tuple[tuple[Letter, ...], ...]
    transposed: bool = False


@dataclass(frozen=True, eq=False)
class Gemm:
    """``out = left @ right``."""

    out: Operand
    left: Operand
    right: Operand
    part: Part


@dataclass(frozen=True, eq=False)
class Write:
    """``target = value`` where ``op`` is None, else ``target op= value``; without a value, op's start.

    ``position`` is what argmax and argmin write: where the value stands.
    """

    target: Access
    op: str | None
    value: Expr | None
    part: Part
    position: Expr | None = None


@dataclass(frozen=True, eq=False)
class Loop:
    """``for letter in range(extent)``."""

    letter: Letter
    body: tuple[Node, ...]


Node = Loop | Write


@dataclass(frozen=True, eq=False)
class Nest:
    """Loops that run one after another; ``scalars`` are the tensors that live in a local variable here."""

    body: tuple[Node, ...]
    scalars: frozenset[Tensor] = frozenset()


Step = Gemm | Nest


@dataclass(frozen=True, eq=False)
class Touch:
    """One read or write of a tensor inside a nest: under which loops, at which places, as the how-manieth."""

    access: Access
    path: tuple[Loop, ...]
    order: int
    writes: bool


def touches(nodes: Iterable[Node]) -> list[Touch]:
    """Every read and write in order of execution; a statement reads before it writes."""
    found: list[Touch] = []
    count = 0

    def visit(node: Node, path: tuple[Loop, ...]) -> None:
        nonlocal count
        if isinstance(node, Loop):
            for child in node.body:
                visit(child, (*path, node))
            return
        count += 1
        for place in node.target.places:
            found.extend(Touch(a, path, count, False) for a in accesses(place))
        if node.value is not None:
            found.extend(Touch(a, path, count, False) for a in accesses(node.value))
        found.append(Touch(node.target, path, count, True))

    for node in nodes:
        visit(node, ())
    return found


def writes_in(nodes: Iterable[Node]) -> Iterator[Write]:
    """The statements of a nest, in order."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from writes_in(node.body)
        else:
            yield node


def reads_of(step: Step) -> list[Tensor]:
    """The tensors that a step reads from memory."""
    if isinstance(step, Gemm):
        return [step.left.tensor, step.right.tensor]
    return list(dict.fromkeys(t.access.tensor for t in touches(step.body) if not t.writes))


def written_by(step: Step) -> list[Tensor]:
    """The tensors that a step writes."""
    if isinstance(step, Gemm):
        return [step.out.tensor]
    return list(dict.fromkeys(w.target.tensor for w in writes_in(step.body)))


def parts_of(step: Step) -> list[Part]:
    """The parts that a step computes."""
    if isinstance(step, Gemm):
        return [step.part]
    return list(dict.fromkeys(w.part for w in writes_in(step.body)))
