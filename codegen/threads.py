"""Which parts of a function can run in blocks of samples, one on each thread, and what is left of it then.

In: the parts of a function, the results that it leaves, its batch. Out: `Phases`, or the reason why there are none.
What touches no sample and is needed by samples comes before the blocks. Sums over the samples are partial totals, one
for each block, that are added in the order of the blocks. What reads totals follows, unless it is linear in them; a
sample that reads one is the reason why there are no blocks. Large products over the samples follow, too: their rows are
shared out among the threads then, so that there is nothing to add.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.batch import batched
from codegen.contract import contraction
from codegen.descent import suits
from codegen.flops import scalar_operations
from codegen.steps import Part, RoundParts, Routine, item_reads
from derive.evaluate import extent
from derive.expr import Access, Dim, Expr, Letter, Mul, Reduce, mul
from derive.program import Tensor, reads
from derive.rewrite import accesses, map_children, terms, walk

Item = Part | RoundParts | Routine

# how a tensor depends on the samples, in the order in which one can turn into another while a loop is read again
FREE, SAMPLE, TOTAL, AFTER = range(4)

# operations in a microsecond, and what a region of threads and the addition of a number cost, in microseconds
_PRODUCTS, _OTHERS = 50_000, 8_000
_REGION, _ADDITION = 12.0, 0.0006
_ROWS = 16  # samples for which a thread reads large weights
_CLOSE = 1 << 15  # numbers that stay in a cache
_SAMPLES, _MANY = 8, 800  # samples that are worth a turn at least, and at most: there seldom are more than twice those
_TRIP = 0.00025  # microseconds in which memory brings a number
_CALL, _OFTEN = 0.1, 20  # microseconds of a call, and how many times what comes with a turn its work takes
LEAST = 150.0  # microseconds of work below which one thread is left alone


class NotSeparableError(Exception):
    """The reason, in words, why samples cannot be computed in blocks."""


@dataclass(frozen=True)
class Phases:
    """Items before the blocks, those of every block, and those after them; ``totals`` are what the blocks add up.

    In the items of a block, ``every`` stands for the number of all samples where it is a number, as in a mean.
    """

    before: tuple[Item, ...]
    block: tuple[Item, ...]
    after: tuple[Item, ...]
    totals: tuple[Tensor, ...]
    every: Dim


def phases(
    items: Sequence[Item],
    results: Iterable[Tensor],
    inputs: Iterable[Tensor],
    batch: Dim | None,
    sizes: Mapping[str, int],
    apart: bool = True,
) -> Phases:
    """The phases of a function that leaves ``results`` behind and reads ``inputs``; raises `NotSeparableError`.

    Large products over the samples follow the blocks if they stand ``apart``.
    """
    if batch is None:
        raise NotSeparableError("the model has no batch")
    late = next((t for t in inputs if batch in t.axes[1:]), None)
    if late is not None:
        raise NotSeparableError(f"the samples of {late.name} do not lie one after another")
    kinds = _kinds(items, batch)
    ours = [i for i in items if any(kinds.get(t) in (SAMPLE, TOTAL) for t in _written(i))]
    ours = _without_products(ours, kinds, batch, sizes) if apart else ours
    if not any(kinds.get(t) == SAMPLE for i in ours for t in _written(i)):
        raise NotSeparableError("nothing is computed sample by sample")
    needed = {t for i in ours for t in item_reads(i)} - {t for i in ours for t in _written(i)}
    before: list[Item] = []
    for item in reversed(items):
        if item not in ours and not needed.isdisjoint(_written(item)):
            before.insert(0, item)
            needed |= set(item_reads(item))
    after = [i for i in items if i not in ours and i not in before]
    left = {t for i in (*before, *after) for t in item_reads(i)}.union(results)
    written = [t for i in ours for t in _written(i)]
    for t in written:
        if t in left and kinds.get(t, FREE) == FREE:
            raise NotSeparableError(f"a loop over samples finds {t.name}, which is needed elsewhere")
    for t in left:
        if kinds.get(t) == SAMPLE and batch in t.axes[1:]:
            raise NotSeparableError(f"the samples of {t.name} do not lie one after another")
    totals = tuple(dict.fromkeys(t for t in written if kinds.get(t) == TOTAL and t in left))
    if any(t.dtype == "int" or _mentions(mul(*t.axes), batch) for t in totals):
        raise NotSeparableError("a total is no array of numbers that can be added")
    every = Dim(f"all {batch.name}")
    return Phases(tuple(before), tuple(_of_all(i, batch, every) for i in ours), tuple(after), totals, every)


def _without_products(
    ours: Sequence[Item], kinds: Mapping[Tensor, int], batch: Dim, sizes: Mapping[str, int]
) -> list[Item]:
    """The items without large products over all samples, of matrices that lie whole in memory once samples are done."""
    done: list[Item] = []
    for item in reversed(ours):
        if isinstance(item, Part) and kinds[item.out] == TOTAL and _large(item, sizes):
            read = {t for other in done for t in item_reads(other)}
            if item.out not in read and all(t.axes[:1] == (batch,) for t in item_reads(item)):
                continue
        done.insert(0, item)
    return done


def _large(part: Part, sizes: Mapping[str, int]) -> bool:
    """Whether a part is one large product, of matrices as they lie."""
    product = contraction(part)
    return product is not None and not product[0] and suits(product[1], sizes)


def _kinds(items: Sequence[Item], batch: Dim) -> dict[Tensor, int]:
    """How every tensor that is computed depends on the samples."""
    kinds: dict[Tensor, int] = {}
    for item in items:
        if isinstance(item, Part):
            kinds[item.out] = _kind(item, kinds, {}, batch)
        elif isinstance(item, Routine):
            found = max((kinds.get(t, FREE) for t in item.reads), default=FREE)
            whole = [*item.reads, *item.writes]
            if found == SAMPLE or any(_mentions(a, batch) for t in whole for a in t.axes):
                raise NotSeparableError(f"{item.writes[0].name} is found from a matrix over the samples")
            kinds.update(dict.fromkeys(item.writes, AFTER if found else FREE))
        else:
            _kinds_of_loop(item, kinds, batch)
    return kinds


def _kinds_of_loop(loop: RoundParts, kinds: dict[Tensor, int], batch: Dim) -> None:
    """The kinds of what a loop computes, which may read what a later round, or a loop inside, finds."""
    sources = loop.sources
    views = [v for b in loop.blocks for v in b.views] + list(loop.after)
    places = [p for v in views for p in (v.place if isinstance(v.place, tuple) else (v.place,)) if p is not None]
    if any(_mentions(e, batch) for e in (*places, *loop.range, *(b.condition for b in loop.blocks))) or any(
        v.source.axes[v.axis] == batch for v in views
    ):
        raise NotSeparableError("a loop runs over the samples")
    before: dict[Tensor, int] | None = None
    while before != kinds:
        before = dict(kinds)
        for block in loop.blocks:
            for item in block.items:
                if not isinstance(item, Part):
                    raise NotSeparableError("a loop calls for whole matrices")
                out = sources.get(item.out, item.out)
                kinds[out] = max(kinds.get(out, FREE), _kind(item, kinds, sources, batch))
    found = {kinds[sources.get(p.out, p.out)] for b in loop.blocks for p in b.items}
    if AFTER in found and found & {SAMPLE, TOTAL}:
        raise NotSeparableError("the rounds of a loop read sums over all samples")
    kinds.update({v.tensor: kinds[v.source] for v in loop.after if v.source in kinds})


def _kind(part: Part, kinds: Mapping[Tensor, int], sources: Mapping[Tensor, Tensor], batch: Dim) -> int:
    """How the result of a part depends on the samples; what is linear in totals is a total as well."""

    def kind(t: Tensor) -> int:
        return kinds.get(sources.get(t, t), FREE)

    bound = [b for x in walk(part.body) if isinstance(x, Reduce) for b in x.binders]
    letters = dict.fromkeys((*part.letters, *bound))
    own = [x for x in letters if x.extent == batch]
    if any(_mentions(x.extent, batch) for x in letters if x not in own):
        raise NotSeparableError(f"{part.origin.out.name} has an axis of which samples are only a part")
    _check_places(part, set(own), batch)
    found = {kind(t) for t in reads(part.body)}
    if len(own) > 1:
        raise NotSeparableError(f"{part.origin.out.name} takes samples in pairs")
    if not own:
        if AFTER in found or TOTAL not in found:
            return max(found, default=FREE)
        linear = all(sum(kind(a.tensor) == TOTAL for a in _factors(t)) == 1 for t in _summands(part.body))
        return TOTAL if linear else AFTER
    if found & {TOTAL, AFTER}:
        raise NotSeparableError(f"{part.origin.out.name} of a sample takes a sum over all samples")
    if own[0] in part.letters:
        return SAMPLE
    if not isinstance(part.body, Reduce) or part.body.op != "sum":
        raise NotSeparableError(f"{part.origin.out.name} is no sum over the samples")
    return TOTAL


def _summands(body: Expr) -> tuple[Expr, ...]:
    """The terms of a sum, or of what is summed."""
    return _summands(body.body) if isinstance(body, Reduce) and body.op == "sum" else terms(body)


def _factors(term: Expr) -> list[Access]:
    """The accesses that are factors of a term, each as often as it is one; any other access twice."""
    parts = term.args if isinstance(term, Mul) else (term,)
    plain = [f for f in parts if isinstance(f, Access)]
    return plain + [a for f in parts if f not in plain for a in (*accesses(f), *accesses(f))]


def _check_places(part: Part, own: set[Letter], batch: Dim) -> None:
    """Samples are read at their own place only, and where a sample stands among all changes nothing."""
    name = part.origin.out.name

    def visit(e: Expr) -> None:
        if isinstance(e, Letter) and e in own:
            raise NotSeparableError(f"{name} depends on which sample it is")
        if not isinstance(e, Access):
            for child in e.children:
                visit(child)
            return
        for axis, place in zip(e.tensor.axes, e.places, strict=True):
            if axis == batch and isinstance(place, Letter) and place in own:
                continue
            if _mentions(axis, batch):
                raise NotSeparableError(f"{name} reads other samples of {e.tensor.name}")
            if any(isinstance(x, Dim) and x == batch for x in walk(place)):
                raise NotSeparableError(f"{name} depends on which sample it is")
            visit(place)

    visit(part.body)


def _written(item: Item) -> list[Tensor]:
    """The tensors that an item writes, in memory."""
    if isinstance(item, Part):
        return [item.out]
    if isinstance(item, Routine):
        return item.writes
    sources = item.sources
    found = list(dict.fromkeys(sources.get(t, t) for b in item.blocks for i in b.items for t in _written(i)))
    return [*found, *(v.tensor for v in item.after if v.source in found)]


def _of_all(item: Item, batch: Dim, every: Dim) -> Item:
    """The item, in which the number of samples as a number is that of all blocks."""

    def changed(e: Expr) -> Expr:
        return every if e == batch else e if isinstance(e, Access) else map_children(e, changed)

    if isinstance(item, RoundParts):
        return item.each(lambda inner: [_of_all(i, batch, every) for i in inner])
    return replace(item, body=changed(item.body)) if isinstance(item, Part) else item


def _mentions(e: Expr, batch: Dim) -> bool:
    return any(x == batch or (isinstance(x, Letter) and x.extent == batch) for x in walk(e))


def microseconds(items: Iterable[Item], sizes: Mapping[str, int]) -> float:
    """About how long the items take; it decides how many samples are worth a second thread, and nothing else."""
    total = 0.0
    for item in items:
        if isinstance(item, RoundParts):
            rounds = max(extent(item.range[1], sizes) - extent(item.range[0], sizes), 0)
            total += rounds * sum(microseconds(b.items, sizes) for b in item.rounds)
            total += sum(microseconds(b.items, sizes) for b in item.before)
        elif isinstance(item, Part):
            count = math.prod(extent(x.extent, sizes) for x in item.letters)
            product = contraction(item) is not None or batched(item, sizes) is not None
            operations = extent(scalar_operations(item.body), sizes)
            total += count * operations / (_PRODUCTS if product else _OTHERS)
    return total


def turn(found: Phases, numbers: Expr, sizes: Mapping[str, int], batch: Dim, added: int) -> int | None:
    """How many samples stay in the cache of a core from one step of a block to the next; None where turns do not pay.

    They do where a step is done with ``numbers`` that a block reads and writes before memory has brought them.
    ``added`` is how many are added up after every turn.
    """
    few, many = (extent(numbers, {**sizes, batch.name: count}) for count in (1, 1001))
    each = max((many - few) / 1000, 1e-6)
    samples = int(_CLOSE / each)
    if not _SAMPLES <= samples <= _MANY or any(isinstance(p, Part) and _large(p, sizes) for p in found.after):
        return None
    work = microseconds(found.block, {**sizes, batch.name: samples, found.every.name: samples})
    far = work < _TRIP * each * samples
    return samples if far and work >= _OFTEN * (_CALL + added * _ADDITION) else None


def least(found: Phases, sizes: Mapping[str, int], batch: Dim, threads: int, numbers: int) -> int:
    """From how many samples on more threads pay, if each block has so many ``numbers`` to be added."""
    if threads == 1:
        return 0
    shared = [p for p in found.after if isinstance(p, Part) and _large(p, sizes)]
    few, many = (
        microseconds([*found.block, *shared], {**sizes, batch.name: count, found.every.name: count})
        for count in (1, 1001)
    )
    each = max((many - few) / 1000, 1e-6)
    lost = _REGION * (1 + len(shared)) + (threads - 1) * numbers * _ADDITION
    rows = _ROWS if shared else 1
    return max(rows * threads, math.ceil(max(LEAST, 2 * lost * threads / (threads - 1)) / each))
