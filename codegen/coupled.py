"""Products with a factor that couples letters of the result: one matrix product for each place of those letters.

In: the parts of a function. Out: the same, where an operand that is far larger than what it is made of is made a
slice at a time. The Hessian of a softmax regression is so Xᵀ diag(p_a ⊙ ([a = b] − p_b)) X for each pair of classes,
and for one of two that differ in their order only, since it is symmetric in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from codegen.batch import loop_over
from codegen.extents import FAR, volume
from codegen.steps import Part, RoundParts, Routine, item_reads
from codegen.symmetry import is_symmetric
from derive.expr import ONE, ZERO, Access, Expr, Letter, Reduce, add, compare, mul, select
from derive.program import Tensor, letters_for, reads
from derive.rewrite import factors, substitute

Item = Part | RoundParts | Routine


def in_slices(items: Sequence[Item], kept: frozenset[Tensor], sizes: Mapping[str, int]) -> list[Item]:
    """The items with such products as loops over what their factor couples."""
    read = Counter(t for item in items for t in item_reads(item))
    made = {p.out: p for p in items if isinstance(p, Part) and not p.body.reduces}
    found: dict[Item, list[Item]] = {}
    for item in items:
        if not isinstance(item, Part) or not isinstance(item.body, Reduce) or item.body.op != "sum":
            continue
        for f in factors(item.body.body):
            source = made.get(f.tensor) if isinstance(f, Access) and read[f.tensor] == 1 else None
            if source is None or source.out in kept or not isinstance(f, Access):
                continue
            largest = max((volume(letters_for(t.axes), sizes) for t in reads(source.body)), default=0)
            if volume(source.letters, sizes) <= FAR * largest:
                continue
            whole = substitute(source.body, dict(zip(source.letters, f.places, strict=True)))
            inside = factors(mul(*(whole if g is f else g for g in factors(item.body.body))))
            body = item.body.over(item.body.binders, mul(*(g for g in inside if g.letters)))
            loop = _sliced(replace(item, body=body), mul(*(g for g in inside if not g.letters)), sizes)
            if loop is not None:
                found[source], found[item] = [], loop
                break
    return [new for item in items for new in found.get(item, [item])]


def _sliced(part: Part, scale: Expr, sizes: Mapping[str, int]) -> list[Item] | None:
    """The loop over the letters that one factor couples, and the result, ``scale`` times what it found."""
    assert isinstance(part.body, Reduce)
    groups = _groups(factors(part.body.body), part.letters)
    coupled = [g for g in groups if len(g) > 1]
    if len(groups) < 3 or len(coupled) != 1:
        return None
    order = (*coupled[0], *(x for x in part.letters if x not in coupled[0]))
    made = Tensor(f"{part.out.name}_rounds", tuple(x.extent for x in order))
    loop = loop_over(Part(made, order, part.body, part.origin), coupled[0], sizes)
    if loop is None:
        return None
    value: Expr = made.at(order)
    if len(coupled[0]) == 2 and is_symmetric(part.body, *coupled[0]):
        a, b = coupled[0]
        loop = loop.each(lambda inner: [replace(i, range=(ZERO, add(a, ONE))) for i in inner])
        value = select(compare("<=", b, a), value, made.at((b, a, *order[2:])))
    return [loop, Part(part.out, part.letters, mul(scale, value), part.origin)]


def _groups(parts: Sequence[Expr], free: tuple[Letter, ...]) -> list[tuple[Letter, ...]]:
    """The free letters, those together that a factor has together."""
    groups = [{x} for x in free]
    for f in parts:
        own = f.letters & set(free)
        near = [g for g in groups if g & own]
        groups = [g for g in groups if g not in near] + ([set[Letter]().union(*near)] if near else [])
    return sorted((tuple(x for x in free if x in g) for g in groups), key=lambda g: free.index(g[0]))
