"""The plan of one function: steps in order, what lives in a local variable, and where the rest is kept.

In: parts, and the tensors whose values leave the function. Out: matrix products and fused loop nests,
and a place in one workspace for every tensor that needs memory, reused as soon as liveness allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

from codegen.batch import batched
from codegen.contract import contraction
from codegen.coupled import in_slices
from codegen.factors import inverses, solved, without_inverses
from codegen.fission import alike, apart, flattened, unordered
from codegen.invariant import before_rounds, hoisted
from codegen.kernels import fixed, fold_of, narrowed, outer, read_again, started, started_inside, without_units
from codegen.layout import channels_last
from codegen.lower import lower, merge
from codegen.products import product_of
from codegen.steps import (
    Loop,
    Nest,
    Node,
    Part,
    RoundParts,
    Rounds,
    Routine,
    Step,
    Touch,
    Write,
    item_reads,
    reads_of,
    scalars_of,
    touches,
    written_by,
)
from codegen.unrolled import beside, inside, is_position
from derive.expr import ONE, ZERO, Access, Expr, Letter, Num, add, mul
from derive.program import Tensor
from derive.rewrite import substitute
from derive.shapes import polynomial


@dataclass(frozen=True)
class Plan:
    """``slots`` are dtype and size of the workspace's pieces; ``places`` says which piece a tensor lies in.

    ``shared`` names, for a tensor written over another one, which one that is; ``laid``, for one whose axes lie in
    another order, which one it stands for.
    """

    steps: tuple[Step, ...]
    places: Mapping[Tensor, int]
    slots: tuple[tuple[str, Expr], ...]
    shared: Mapping[Tensor, Tensor]
    laid: Mapping[Tensor, Tensor] = field(default_factory=dict)


def plan(
    parts: Iterable[Part | RoundParts | Routine], results: Iterable[Tensor], sizes: Mapping[str, int] | None = None
) -> Plan:
    """The plan that computes ``parts`` and leaves ``results`` behind.

    Where ``sizes`` are known, products that are matrix products in every round of a loop become such loops.
    """
    kept = frozenset(results)
    parts, laid = tuple(parts), dict[Tensor, Tensor]()
    if sizes is not None:
        parts, laid = channels_last(in_slices(parts, kept, sizes), kept, sizes)
    steps = fuse(beside(inside(parts, kept, sizes or {}), kept), sizes=sizes, kept=kept)
    steps = without_inverses(steps, kept, reads_of)
    made = allocate(_localized(steps, kept), kept)
    return replace(made, steps=hoisted(flattened(made.steps, made.places, sizes), made.places), laid=laid)


def _localized(steps: Sequence[Step], kept: frozenset[Tensor]) -> list[Step]:
    """The steps with what one nest alone needs in local variables; so in every round of a loop."""
    done: list[Step] = []
    touched = [{*reads_of(s), *written_by(s)} for s in steps]
    users = Counter(t for tensors in touched for t in tensors)
    for step, own in zip(steps, touched, strict=True):
        if isinstance(step, Nest):
            done.append(localized(step, frozenset(t for t in own if users[t] > 1 or t in kept)))
        elif isinstance(step, Rounds):
            inner = [s for block in step.blocks for s in block.items]
            found = iter(_localized(inner, kept | set(step.sources)))
            done.append(_as_steps(step.each(lambda items, found=found: [next(found) for _ in items])))  # type: ignore[misc]
        else:
            done.append(step)
    return done


def fuse(
    parts: Iterable[Part | RoundParts | Routine],
    strided: frozenset[Tensor] = frozenset(),
    sizes: Mapping[str, int] | None = None,
    kept: frozenset[Tensor] = frozenset(),
) -> list[Step]:
    """Parts in steps; a nest joins an earlier one where everything it reads is there by then.

    Into ``strided`` memory, a slice across another axis than the first, no product writes. What is ``kept`` is needed
    elsewhere.
    """
    steps: list[Step] = []
    parts = read_again([without_units(p, sizes or {}) if isinstance(p, Part) else p for p in parts])
    read = Counter(t for p in parts for t in item_reads(p))
    alone = {t for t, count in read.items() if count == 1 and t not in kept}
    near = any(fixed(p[1], sizes or {}) for p in (contraction(p) for p in parts if isinstance(p, Part)) if p)

    def place(part: Part) -> None:
        nodes = lower(part)
        merges = not is_position(part)  # it stands beside its reader
        read = {t.access.tensor for t in touches(nodes) if not t.writes}
        for k in reversed(range(len(steps) if merges else 0)):
            step = steps[k]
            depends = not read.isdisjoint(written_by(step))
            if isinstance(step, Nest):
                joined = merge(step.body, nodes)
                if joined is None and depends and isinstance(nodes[-1], Write):
                    joined = step.body + nodes
                if joined is not None and unordered(joined) and alike(step.body, nodes, sizes):
                    steps[k] = Nest(joined)
                    return
            if depends:
                break
        steps.append(Nest(nodes))

    for part in _with_batches(parts, strided, sizes):
        if isinstance(part, RoundParts):
            across = frozenset(v.tensor for b in part.blocks for v in b.views if v.axis)
            seen = kept.union(*((v.tensor, v.source) for b in part.blocks for v in b.views))
            fused = part.each(lambda items, across=across, seen=seen: fuse(items, across, sizes, seen))  # type: ignore[misc]
            early, loop = before_rounds(_as_steps(fused))
            steps += [*early, loop]
            continue
        if isinstance(part, Routine):
            steps.append(part)
            continue
        product = contraction(part) if part.out not in strided else None
        copied = product_of(part, sizes, strided) if sizes is not None and (product is None or product[0]) else None
        if copied is not None:
            for made in copied.before:
                place(made)
            steps.append(narrowed(copied.gemm, sizes or {}))
            for made in copied.after:
                place(made)
            continue
        if product is not None:
            for made in product[0]:
                place(made)
            steps.append(solved(narrowed(product[1], sizes or {}), inverses(steps)))
            continue
        taken = None if part.out in strided else started(part, steps, alone)
        part, inside = (part, taken) if taken is not None else started_inside(part, steps, alone)
        steps = [inside.get(k, step) for k, step in enumerate(steps)]
        if taken is not None:
            continue
        local = alone & {t for s in steps if isinstance(s, Nest) for t in written_by(s)}  # one element at a time
        found = outer(part, sizes or {}) if near and part.out not in strided | local else None
        if found is not None and (strided | local).isdisjoint(found.reads):
            steps.append(found)
            continue
        for piece in apart(part, sizes):
            fold = None if (strided | local) & {piece.out, *item_reads(piece)} else fold_of(piece)
            if fold is None:
                place(piece)
            else:
                steps.append(fold)
    return steps


def _with_batches(
    parts: Iterable[Part | RoundParts | Routine], strided: frozenset[Tensor], sizes: Mapping[str, int] | None
) -> Iterator[Part | RoundParts | Routine]:
    """The parts, with those that are a matrix product in every round of a loop as that loop."""
    for part in parts:
        found = None
        if isinstance(part, Part) and sizes is not None and part.out not in strided:
            found = None if product_of(part, sizes, strided) else batched(part, sizes)
        yield from [part] if found is None else found


def _as_steps(loop: RoundParts) -> Rounds:
    """The loop, once its items are steps."""
    return Rounds(**{f.name: getattr(loop, f.name) for f in fields(loop)})


def localized(nest: Nest, shared: frozenset[Tensor]) -> Nest:
    """The nest with every tensor that it alone needs, one element at a time, in a local variable.

    ``shared`` are the tensors that others need, too.
    """
    scalars = set()
    by_tensor: dict[Tensor, list[Touch]] = {}
    for touch in touches(nest.body):
        by_tensor.setdefault(touch.access.tensor, []).append(touch)
    for tensor, found in by_tensor.items():
        if not any(t.writes for t in found):
            continue
        if tensor.rank == 0 or (tensor not in shared and _one_element(found)):
            scalars.add(tensor)
    body = _accumulators(nest.body, scalars)
    return Nest(body, frozenset(scalars))


def _one_element(found: Sequence[Touch]) -> bool:
    """Whether all touches are of the element that the loops around them single out."""
    places = found[0].access.places
    if any(t.access.places != places for t in found):
        return False
    common = {loop.letter for loop in _common(t.path for t in found)}
    return all(p in common for p in places)


def _common(paths: Iterable[tuple[Loop, ...]]) -> tuple[Loop, ...]:
    first, *others = paths
    length = len(first)
    for other in others:
        length = min(
            length, next((k for k, (a, b) in enumerate(zip(first, other, strict=False)) if a is not b), len(other))
        )
    return first[:length]


def _accumulators(block: tuple[Node, ...], scalars: set[Tensor]) -> tuple[Node, ...]:
    """Let what is accumulated into one element of memory gather in a local variable first."""
    out = list(block)
    for node in block:
        if not isinstance(node, Write) or node.value is not None or node.target.tensor in scalars:
            continue
        users = [n for n in out if n is not node and isinstance(n, Loop) and _accumulates(n, node.target)]
        if not users:
            continue
        local = Tensor(node.target.tensor.name, node.target.tensor.axes, dtype=node.target.tensor.dtype)
        scalars.add(local)
        access = Access(local, node.target.places)
        out = [_redirected(n, node.target, access) if n is node or n in users else n for n in out]
        last = max(k for k, n in enumerate(out) if _accumulates(n, access))
        out.insert(last + 1, Write(node.target, None, access, node.part))
    return tuple(Loop(n.letter, _accumulators(n.body, scalars)) if isinstance(n, Loop) else n for n in out)


def _accumulates(node: Node, target: Access) -> bool:
    if isinstance(node, Loop):
        return any(_accumulates(child, target) for child in node.body)
    return node.op is not None and node.value is not None and node.target == target


def _redirected(node: Node, old: Access, new: Access) -> Node:
    if isinstance(node, Loop):
        return Loop(node.letter, tuple(_redirected(child, old, new) for child in node.body))
    return replace(node, target=new) if node.op is not None and node.target == old else node


def allocate(steps: list[Step], kept: frozenset[Tensor]) -> Plan:
    """A piece of the workspace for every tensor that is neither kept elsewhere nor in a local variable."""
    last: dict[Tensor, int] = {}
    lies_in = {v.tensor: v.source for step in steps if isinstance(step, Rounds) for v in step.after}
    for k, step in enumerate(steps):
        for t in (*reads_of(step), *written_by(step)):
            last[lies_in.get(t, t)] = k
    slots: list[tuple[str, Expr]] = []
    places: dict[Tensor, int] = {}
    shared: dict[Tensor, Tensor] = {}
    free: list[int] = []
    for k, step in enumerate(steps):
        scalars = scalars_of(step)
        for t in written_by(step):
            if t in places or t in kept or t in scalars or t in lies_in:
                continue
            under = _overwritable(t, step, k, places, last) if isinstance(step, Nest) else None
            slot = (t.dtype, mul(*t.axes))
            if under is not None:
                places[t], shared[t] = places[under], under
            else:
                reused = next((s for s in free if slots[s] == slot), None)
                if reused is None:
                    slots.append(slot)
                    places[t] = len(slots) - 1
                else:
                    free.remove(reused)
                    places[t] = reused
        busy = {places[t] for t in places if last[t] > k}
        free = sorted({*free, *(places[t] for t in places if last[t] == k and places[t] not in busy)})
    return Plan(tuple(steps), places, tuple(slots), shared)


def _overwritable(
    t: Tensor, nest: Nest, position: int, places: Mapping[Tensor, int], last: Mapping[Tensor, int]
) -> Tensor | None:
    """A tensor of the same shape that ``t`` may be written over, element by element, inside this nest."""
    found = touches(nest.body)
    mine = [x for x in found if x.access.tensor == t]
    for other in places:
        if last[other] != position or other.axes != t.axes or other.dtype != t.dtype:
            continue
        sharing = {o for o in places if places[o] == places[other] and last[o] >= position}
        theirs = [x for x in found if x.access.tensor in sharing]
        if all(last[o] == position for o in sharing) and all(_before(a, b) for a in theirs for b in mine if b.writes):
            return other
    return None


def _before(first: Touch, second: Touch) -> bool:
    """Whether ``first`` touches an element always before ``second`` writes the same one."""
    pinned: set[Expr] = set()
    even = first.access.places[-1:] == second.access.places[-1:]  # else compilers see no vectors in them
    for a, b in zip(first.access.places, second.access.places, strict=True):
        found, apart = _counted(a), polynomial(add(a, mul(-1, b)))
        pinned |= {a} if a == b else set()
        if even and found is not None and isinstance(apart, Num):  # 2 i + 1 is never 2 j, and 2 i is 2 j if i is j
            if apart.value % found[1]:
                return True
            pinned |= {found[0]} if apart == ZERO else set()
    return first.order <= second.order and all(loop.letter in pinned for loop in _common([first.path, second.path]))


def _counted(place: Expr) -> tuple[Letter, Fraction] | None:
    """The letter that a place grows with, and by how much for each step of it; None if there are several or none."""
    if len(place.letters) != 1:
        return None
    (x,) = place.letters
    step = polynomial(add(substitute(place, {x: add(x, ONE)}), mul(-1, place)))
    return (x, step.value) if isinstance(step, Num) and step.value > 0 else None
