"""A function whose samples run in blocks, each on a thread: one function of a block, and what stands around its calls.

In: a function, its parts and its phases. Out: the same function with another plan, which calls for the blocks and goes
on with their totals. A gradient that is a total lies in the flat gradient, other totals in a vector of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from codegen.function import Function, Slice
from codegen.plan import plan
from codegen.steps import LINE, Blocks, Part, RoundParts, item_reads
from codegen.threads import Item, NotSeparableError, least, phases, turn
from derive.digits import flat
from derive.evaluate import extent
from derive.expr import Access, add, mul, num
from derive.program import Program, Tensor, letters_for


def in_blocks(
    function: Function,
    items: Sequence[Item],
    wanted: Sequence[Tensor],
    program: Program,
    sizes: Mapping[str, int],
    threads: int,
) -> Function:
    """The function in blocks of samples, where that pays; as it is, with the reason, where they depend on one another.

    On one thread they are blocks that stay in the cache.
    """
    batch = program.batch
    try:
        found = phases(items, wanted, (*function.inputs, *function.outputs), batch, sizes, apart=threads > 1)
    except NotSeparableError as e:
        return replace(function, serial=str(e) if threads > 1 else "")
    assert batch is not None
    straight = tuple((t, g) for t, g in function.gradients if g in found.totals and g.rank)
    direct = [g for _, g in straight]
    slices, end = [], 0
    for t in found.totals:
        if t not in direct:
            slices.append(Slice(t, end, math.prod(extent(a, sizes) for a in t.axes)))
            end += slices[-1].size
    written = _outs(found.block)
    later = dict.fromkeys((*function.outputs, *(t for i in found.after for t in item_reads(i))))
    results = tuple(t for t in later if t in written and batch in t.axes)
    earlier = _outs(found.before)
    read = dict.fromkeys(t for i in found.block for t in item_reads(i))
    inputs = tuple(t for t in read if t in earlier or t in program.data)
    block = Function(
        f"{function.name}_block",
        inputs,
        results,
        straight,
        None,
        (),
        plan(found.block, (*found.totals, *results), sizes),
        sums=tuple(slices),
        every=found.every,
        batch=batch.name,
    )
    origins = _outs(found.block)
    sums = Tensor("sums", (num(-(-end // LINE) * LINE),)) if end else None  # what follows begins where a line does
    copies = []
    if sums is not None:
        for s in slices:
            letters = letters_for(s.tensor.axes)
            place = add(num(s.offset), flat(letters, s.tensor.axes))
            copies.append(Part(s.tensor, letters, Access(sums, (place,)), origins[s.tensor].origin))
    numbers = sum(math.prod(extent(a, sizes) for a in g.axes) for g in direct)
    known = {**sizes}
    known.pop(batch.name, None)
    touched = [mul(*t.axes) for t in (*inputs, *results) if batch in t.axes]
    samples = turn(found, add(*(count for _, count in block.plan.slots), *touched), known, batch, numbers + end)
    if threads == 1 and samples is None:
        return function
    call = Blocks(
        "blocks",
        (*([sums] if sums is not None else []), *direct, *results),
        inputs,
        next(iter(origins.values())),
        threads=threads,
        least=least(found, known, batch, threads, numbers),
        samples=samples,
        sums=sums,
    )
    return replace(function, block=block, plan=plan((*found.before, call, *copies, *found.after), wanted, sizes))


def _outs(items: Sequence[Item]) -> dict[Tensor, Part]:
    """What items write in memory, each with the part that does."""
    found: dict[Tensor, Part] = {}
    for item in items:
        if isinstance(item, RoundParts):
            sources = item.sources
            inner = _outs([i for b in item.blocks for i in b.items])
            found |= {sources.get(t, t): p for t, p in inner.items()}
            found |= {v.tensor: found[v.source] for v in item.after if v.source in found}
        elif isinstance(item, Part):
            found[item.out] = item
        else:
            found |= dict.fromkeys(item.writes, item.part)
    return found
