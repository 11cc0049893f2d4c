"""In which order axes lie in memory: what a convolution does not move along, its channels, lies last.

In: the parts of a function. Out: the same on tensors with their axes in that order, and which tensor each stands for.
Innermost loops then run over channels as long vectors, with the same places of all arrays, whatever the window. Only
what is kept nowhere else and what no loop cuts is laid so; equations are the same but for the order of places.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from codegen.extents import volume
from codegen.steps import Part, RoundParts, Routine, item_reads
from derive.digits import digits, span
from derive.expr import Access, Compare, Expr, Letter
from derive.hoist import ordered_letters
from derive.program import Tensor, letters_for
from derive.rewrite import accesses, map_children
from derive.shapes import size

LANES = 8  # channels that are worth it: a vector's

Item = Part | RoundParts | Routine
Axis = tuple[Tensor, int]


def channels_last(
    items: Sequence[Item], kept: Collection[Tensor], sizes: Mapping[str, int]
) -> tuple[tuple[Item, ...], dict[Tensor, Tensor]]:
    """The items, and of each tensor that lies in another order the one that it stands for."""
    parts = [p for p in items if isinstance(p, Part)]
    moved = _Moved()
    for part in parts:
        moved.part(part)
    others = {t for i in items if not isinstance(i, Part) for t in (*item_reads(i), *_written(i))}
    made: dict[Tensor, tuple[Tensor, tuple[int, ...]]] = {}
    for t in (p.out for p in parts):
        order = None if t in kept or t in others else _order(t, moved, sizes)
        if order is not None:
            made[t] = t.like(axes=tuple(t.axes[k] for k in order)), order

    def laid(e: Expr) -> Expr:
        e = map_children(e, laid)
        if not isinstance(e, Access) or e.tensor not in made:
            return e
        tensor, order = made[e.tensor]
        return tensor.at(e.places[k] for k in order)

    def placed(part: Part) -> Part:
        tensor, order = made.get(part.out, (part.out, tuple(range(part.out.rank))))
        return replace(part, out=tensor, letters=tuple(part.letters[k] for k in order), body=laid(part.body))

    done = tuple(placed(i) if isinstance(i, Part) else i for i in items) if made else tuple(items)
    return done, {new: t for t, (new, _) in made.items()}


def _written(item: RoundParts | Routine) -> Iterator[Tensor]:
    if isinstance(item, Routine):
        yield from item.writes
        return
    yield from (v.tensor for v in item.after)
    for block in item.blocks:
        yield from (v.source for v in block.views)
        for inner in block.items:
            yield from [inner.out] if isinstance(inner, Part) else _written(inner)


def _order(t: Tensor, moved: _Moved, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """The axes of a tensor with its channels last; None where that is how they lie, or where they are few."""
    along = [k for k in range(1, t.rank) if moved.along((t, k))]
    channels = [k for k in range(1, t.rank) if k not in along and size(t.axes[k], sizes) is not None]
    early = [k for k in channels if along and k < max(along)]
    if not early or moved.along((t, 0)) or volume(letters_for(t.axes[k] for k in channels), sizes) < LANES:
        return None
    return (*(k for k in range(t.rank) if k not in channels), *channels)


class _Moved:
    """Along which axes windows move: axes that share a letter in some part are one, and are so all or none."""

    def __init__(self) -> None:
        self.parent: dict[Axis | Letter, Axis | Letter] = {}
        self.windows: list[Axis | Letter] = []

    def root(self, x: Axis | Letter) -> Axis | Letter:
        while x in self.parent:
            x = self.parent[x]
        return x

    def same(self, x: Axis | Letter, y: Axis | Letter) -> None:
        a, b = self.root(x), self.root(y)
        if a != b:
            self.parent[a] = b

    def along(self, axis: Axis) -> bool:
        return self.root(axis) in {self.root(x) for x in self.windows}

    def part(self, part: Part) -> None:
        """What the places of one part say."""
        for a in (Access(part.out, part.letters), *accesses(part.body)):
            for k, place in enumerate(a.places):
                letters = ordered_letters(place)
                for x in letters:
                    self.same((a.tensor, k), x)
                counted = digits(place)
                if letters and (counted is None or span(counted) != a.tensor.axes[k]):
                    self.windows.append(letters[0])
        for e in _masks(part.body):
            if e.op == "==":
                bare = [x for side in (e.left, e.right) for x in _bare(side)]
                for x in bare[1:]:
                    self.same(bare[0], x)


def _masks(e: Expr) -> Iterator[Compare]:
    if isinstance(e, Compare):
        yield e
    for child in e.children:
        yield from _masks(child)


def _bare(e: Expr) -> Iterator[Letter]:
    """The letters of an expression outside of accesses."""
    if isinstance(e, Letter):
        yield e
    elif not isinstance(e, Access):
        for child in e.children:
            yield from _bare(child)
