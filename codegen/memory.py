"""How much memory a function takes, and how much its plan has to take.

In: a function with its plan, all extents, bytes a number. Out: the bytes of its workspace, and a bound that follows
from liveness alone: of every size of tensor as many as are alive at once, and one strip that products copy to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.function import Function
from codegen.kernels import STRIP, copied
from codegen.steps import Blocks, Fold, Gemm, Nest, Rounds, Routine, Step, reads_of, scalars_of, written_by
from derive.evaluate import extent
from derive.expr import Expr, mul
from derive.program import Tensor


@dataclass(frozen=True)
class Memory:
    """Bytes: of intermediate results in the workspace, of a strip, and the most alive in one step, the ``fullest``."""

    results: int
    strip: int
    alive: int
    fullest: int
    bound: int

    @property
    def workspace(self) -> int:
        """What is allocated."""
        return self.results + self.strip


def memory_of(function: Function, sizes: Mapping[str, int], item: int) -> Memory:
    """The memory of one call; ``item`` is the size of a number."""
    plan = function.plan

    def size(kind: str, count: Expr) -> int:
        return extent(count, sizes) * (item if kind == "real" else 8)

    spans = live(function)
    at: list[int] = []
    bound: Counter[tuple[str, Expr]] = Counter()
    for k in range(len(plan.steps)):
        now = [t for t, (first, last) in spans.items() if first <= k <= last]
        at.append(sum(size(*plan.slots[slot]) for slot in {plan.places[t] for t in now}))
        for kind, count in Counter((t.dtype, mul(*t.axes)) for t in now).items():
            bound[kind] = max(bound[kind], count)
    results = sum(size(*slot) for slot in plan.slots)
    strip = item * STRIP * max((extent(copied(g, sizes), sizes) for g in _products(plan.steps)), default=0)
    fullest = max(range(len(at)), key=at.__getitem__, default=0)
    most = sum(count * size(*kind) for kind, count in bound.items())
    alive = max(at, default=0)
    for k, step in enumerate(plan.steps):
        if isinstance(step, Blocks) and function.block is not None:
            one = memory_of(function.block, of_a_block(step, function.block, sizes), item)
            private = item * sum(math.prod(extent(a, sizes) for a in t.axes) for t, _ in function.gradients)
            private *= 1 if step.samples is None else 2
            inside, fullest = step.threads * (one.alive + private), k
            results, strip = results + step.threads * (one.results + private), step.threads * (strip + one.strip)
            alive, most = alive + inside, most + step.threads * (one.bound - one.strip + private)
    return Memory(results, strip, alive, fullest + 1, most + strip)


def of_a_block(step: Blocks, block: Function, sizes: Mapping[str, int]) -> dict[str, int]:
    """The extents in the largest block: its share is for one sample more than it needs, or two."""
    samples = sizes[block.batch] // step.threads + 2 if step.threads > 1 else sizes[block.batch]
    return {**sizes, block.batch: samples if step.samples is None else min(samples, step.most)}


def live(function: Function) -> dict[Tensor, tuple[int, int]]:
    """The first and the last step that touch each tensor of the workspace."""
    plan = function.plan
    views = {v.tensor: v.source for step in plan.steps if isinstance(step, Rounds) for v in step.after}
    spans: dict[Tensor, tuple[int, int]] = {}
    for k, step in enumerate(plan.steps):
        local = scalars_of(step)
        for t in (*reads_of(step), *written_by(step)):
            whole = views.get(t, t)
            if whole in plan.places and whole not in local:
                first, _ = spans.get(whole, (k, k))
                spans[whole] = first, k
    return spans


def _products(steps: Sequence[Step]) -> Iterator[Gemm]:
    for step in steps:
        if isinstance(step, Rounds):
            yield from _products([s for block in step.blocks for s in block.items])
        elif isinstance(step, Gemm):
            yield step
        else:
            assert isinstance(step, (Fold, Nest, Routine))
