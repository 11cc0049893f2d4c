"""What a plan consists of: matrix products and loop nests over scalar statements.

A `Step` is a `Gemm` or a `Nest`. A nest is a tree of loops with writes at its leaves; every expression in
it is pointwise, and every access says by its places where it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from derive.expr import ONE, Access, Expr, Letter
from derive.program import Equation, Tensor, reads
from derive.rewrite import accesses

LINE = 16  # numbers, at most, of a line of the cache: no two threads write to one


@dataclass(frozen=True, eq=False)
class Part:
    """``out[letters] = body``, the body pointwise or one reduction of something pointwise.

    ``origin`` is the model's equation that this computes, or helps to compute; those ``within`` it computes on the way.
    """

    out: Tensor
    letters: tuple[Letter, ...]
    body: Expr
    origin: Equation
    within: tuple[Equation, ...] = ()


@dataclass(frozen=True)
class Windows:
    """Where the rows of a matrix begin in a slice of a tensor, and how far from there their elements lie.

    Both along axes: ``rows`` and ``columns`` are extents and distances, slowest first. There is such a matrix for each
    place of the tensor's first axis. They stand below each other, or, where that axis is ``summed``, beside each other.
    """

    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]
    summed: bool


@dataclass(frozen=True)
class Operand:
    """A matrix or vector as a product sees it: a tensor, its axes grouped, perhaps transposed, or ``windows`` on it.

    ``groups`` are the letters of the rows and of the columns as they lie in memory; one group is a vector.
    """

    tensor: Tensor
    groups: tuple[tuple[Letter, ...], ...]
    transposed: bool = False
    windows: Windows | None = None


@dataclass(frozen=True, eq=False)
class Gemm:
    """``out = left @ right``; where that is known to be ``symmetric``, one triangle of it is enough to compute.

    A product that has a ``start`` is added to it: a matrix, or a vector that is the same for every row.
    """

    out: Operand
    left: Operand
    right: Operand
    part: Part
    symmetric: bool = False
    start: Operand | None = None

    @property
    def counted(self) -> tuple[tuple[Letter, ...], ...]:
        """The letters of its M, K and N, as a product of M × K and of K × N numbers."""
        left, right = self.left, self.right
        return left.groups[left.transposed], left.groups[not left.transposed], right.groups[not right.transposed]

    @property
    def reads(self) -> list[Tensor]:
        """The tensors that are read."""
        return [o.tensor for o in (self.left, self.right, self.start) if o is not None]


@dataclass(frozen=True, eq=False)
class Fold:
    """``out`` is the sum or the largest number (``op``) of every row of ``matrix``, of every column if ``down``."""

    out: Operand
    matrix: Operand
    op: str
    down: bool
    part: Part


@dataclass(frozen=True, eq=False)
class Routine:
    """A call for a whole matrix: factor, inverse, solve, solve_right (from the right), det, logdet or cholesky.

    ``outs`` and ``ins`` are tensors as they lie, or operands of a ``solve``. ``kind`` says how a matrix is factored: as
    ``general``, as ``symmetric`` (perhaps positive definite), or not at all as it is ``lower`` triangular.
    """

    name: str
    outs: tuple[Tensor | Operand, ...]
    ins: tuple[Tensor | Operand, ...]
    part: Part
    kind: str = "general"
    transposed: bool = False

    @property
    def reads(self) -> list[Tensor]:
        """The tensors that are read."""
        return [t.tensor if isinstance(t, Operand) else t for t in self.ins]

    @property
    def writes(self) -> list[Tensor]:
        """The tensors that are written."""
        return [t.tensor if isinstance(t, Operand) else t for t in self.outs]


@dataclass(frozen=True, eq=False)
class Blocks(Routine):
    """A call for all samples, in blocks on so many ``threads`` from ``least`` samples on; `Function.block` is of one.

    Where a block of all that a thread has leaves the cache, it takes turns of about so many ``samples``. ``sums`` are
    left behind: the totals that are no gradients, one after another.
    """

    threads: int = 1
    least: int = 0
    samples: int | None = None
    sums: Tensor | None = None

    @property
    def most(self) -> int:
        """How many samples a turn has at most: where they are less than two turns' there is one."""
        assert self.samples is not None
        return 2 * self.samples + 1


@dataclass(frozen=True, eq=False)
class Write:
    """``target = value`` where ``op`` is None, else ``target op= value``; without a value, op's start.

    ``position`` is what argmax and argmin write: where the value stands. ``where`` is a condition without which
    nothing is written: that the place is inside.
    """

    target: Access
    op: str | None
    value: Expr | None
    part: Part
    position: Expr | None = None
    where: Expr = ONE


@dataclass(frozen=True, eq=False)
class Loop:
    """``for letter in range(extent)``."""

    letter: Letter
    body: tuple[Node, ...]


Node = Loop | Write


@dataclass(frozen=True, eq=False)
class Nest:
    """Loops that run one after another; ``scalars`` are the tensors that live in a local variable here.

    ``flat`` are vectors of all elements of a tensor, each with that tensor. What is read ``also`` goes by the name of
    the tensor that is written over it.
    """

    body: tuple[Node, ...]
    scalars: frozenset[Tensor] = frozenset()
    flat: tuple[tuple[Tensor, Tensor], ...] = ()
    also: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class View:
    """``tensor`` is ``source`` at ``place`` of ``axis``; of a vector it keeps an axis of one place.

    Where the place is a pair, it is what stands from one place up to another.
    """

    tensor: Tensor
    source: Tensor
    axis: int
    place: Expr | tuple[Expr | None, Expr | None]


@dataclass(frozen=True, eq=False)
class Rounded:
    """Parts (later: steps) of a round, on views, where its ``condition`` holds."""

    condition: Expr
    views: tuple[View, ...]
    items: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class RoundParts:
    """``for letter in range(first, last)``, or backwards where ``step`` is -1.

    ``before`` stands before the loop; views of what it filled stand ``after`` it. ``slices`` says of which tensor of
    the program each slice is a round.
    """

    letter: Letter
    step: int
    range: tuple[Expr, Expr]
    before: tuple[Rounded, ...]
    rounds: tuple[Rounded, ...]
    after: tuple[View, ...]
    slices: Mapping[Tensor, Tensor]

    @property
    def blocks(self) -> tuple[Rounded, ...]:
        """What stands before the loop, then the rounds."""
        return self.before + self.rounds

    def each(self, function: Callable[[tuple[Any, ...]], Iterable[Any]]) -> RoundParts:
        """The same with other items."""
        before, rounds = (
            tuple(replace(b, items=tuple(function(b.items))) for b in blocks) for blocks in (self.before, self.rounds)
        )
        return replace(self, before=before, rounds=rounds)

    @property
    def sources(self) -> dict[Tensor, Tensor]:
        """Where a view lies in memory."""
        return {v.tensor: v.source for b in self.blocks for v in b.views}


@dataclass(frozen=True, eq=False)
class Rounds(RoundParts):
    """`RoundParts` whose items are steps."""


Step = Gemm | Fold | Nest | Rounds | Routine


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
        for place in (node.where, *node.target.places):
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
    if isinstance(step, Fold):
        return [step.matrix.tensor]
    if isinstance(step, (Gemm, Routine)):
        return step.reads
    if isinstance(step, Rounds):
        return _from_memory(step, reads_of)
    whole = dict(step.flat)
    found = (whole.get(t.access.tensor, t.access.tensor) for t in touches(step.body) if not t.writes)
    return list(dict.fromkeys((*found, *step.also)))


def item_reads(item: Part | RoundParts | Gemm | Routine) -> list[Tensor]:
    """The tensors that a part, or what was made of it, reads; of a loop, from memory."""
    if isinstance(item, RoundParts):
        return [item.sources.get(t, t) for b in item.blocks for inner in b.items for t in item_reads(inner)]
    return item.reads if isinstance(item, (Gemm, Routine)) else reads(item.body)


def written_by(step: Step) -> list[Tensor]:
    """The tensors that a step writes."""
    if isinstance(step, (Gemm, Fold)):
        return [step.out.tensor]
    if isinstance(step, Routine):
        return step.writes
    if isinstance(step, Rounds):
        filled = _from_memory(step, written_by)
        return [*filled, *(v.tensor for v in step.after if v.source in filled)]
    whole = dict(step.flat)
    return list(dict.fromkeys(whole.get(w.target.tensor, w.target.tensor) for w in writes_in(step.body)))


def scalars_of(step: Step) -> frozenset[Tensor]:
    """The tensors that live in local variables of a step."""
    if isinstance(step, Rounds):
        return frozenset().union(*(scalars_of(inner) for b in step.blocks for inner in b.items))
    if isinstance(step, Routine):
        return frozenset(t for t in step.writes if not t.rank)
    return step.scalars if isinstance(step, Nest) else frozenset()


def every(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, those of loops too."""
    for step in steps:
        yield step
        if isinstance(step, Rounds):
            yield from every(inner for block in step.blocks for inner in block.items)


def parts_of(step: Step) -> list[Part]:
    """The parts that a step computes."""
    if isinstance(step, Blocks):
        return []
    if isinstance(step, (Gemm, Fold, Routine)):
        return [step.part]
    if isinstance(step, Rounds):
        return [p for b in step.blocks for inner in b.items for p in parts_of(inner)]
    return list(dict.fromkeys(w.part for w in writes_in(step.body)))


def _from_memory(step: Rounds, touched: Callable[[Step], list[Tensor]]) -> list[Tensor]:
    sources = step.sources
    return list(dict.fromkeys(sources.get(t, t) for b in step.blocks for inner in b.items for t in touched(inner)))
