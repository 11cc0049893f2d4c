"""What an emitted function does, step by step: which kernel, why that one, how many operations and bytes, what is kept.

In: what a module is made from, and a size of the batch. Out: text for a person. It reads the plan that the
Numba target prints, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.descent import suits
from codegen.emit import Comments
from codegen.flops import scalar_operations
from codegen.function import Function
from codegen.kernels import FEW, FIRST, along, as_matrices, paneled, placed
from codegen.memory import memory_of, of_a_block
from codegen.prepared import Prepared, with_residuals
from codegen.steps import (
    Blocks,
    Fold,
    Gemm,
    Nest,
    Node,
    Operand,
    Rounds,
    Routine,
    Step,
    Write,
    every,
    parts_of,
    reads_of,
    scalars_of,
    writes_in,
    written_by,
)
from derive.errors import GradcError
from derive.evaluate import extent
from derive.expr import Dim, Expr, Letter
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.program import Tensor, reads

# bytes of a right operand above which it is copied by strips: with registers of 32 bytes, of 64, and for few rows; as
# in tiles.py.jinja
NEAR, NEAR_WIDE, FAR = 1 << 15, 1 << 18, 1 << 19
_NAMES = {
    "step": "the loss and its gradient",
    "product": "the Hessian times a direction",
    "loss": "the loss",
    "forward": "the outputs",
}
_FACTORED = {
    "symmetric": "it is symmetric: by Cholesky if it is positive definite, else with pivots",
    "lower": "it is triangular as it stands",
    "general": "by its factors, with pivots",
}


@dataclass(frozen=True)
class Row:
    """A step: its number, its formulas, the kernel and the reason for it, operations and bytes of one call."""

    number: str
    formulas: tuple[str, ...]
    kernel: str
    why: str
    operations: int
    bytes: int


def explained(p: Prepared, batch: int = 128) -> str:
    """The steps of the function that training calls; of a model without a gradient, of what it computes.

    Where Hessian products are wanted it is the function of those. Raises where the target has no plan.
    """
    if p.target.name != "numba":
        raise GradcError("steps are explained for the target numba, whose code is planned; numpy's is the formulas")
    role, function, sizes = main_function(p, batch)
    comments = Comments(*(p.product if p.product and role == "product" else (p.program, p.shown)))
    comments.also(function.slices)
    item = 4 if p.dtype == "float32" else 8
    told = Explanation(function, sizes, item, comments, p.program.batch)
    return "\n".join([*told.lines(role, p), *_trained(p, function, sizes, item), *_both_ways(p, batch, item)])


def _trained(p: Prepared, function: Function, sizes: Mapping[str, int], item: int) -> Iterator[str]:
    """What a training step keeps in memory beside its data."""
    if not function.gradients:
        return
    count = item * sum(math.prod(extent(a, sizes) for a in t.axes) for t in (*p.program.parameters, *p.program.states))
    state = len(dict.fromkeys(s for call in p.program.optimizers for s in call.rule.state))
    found = memory_of(function, sizes, item)
    summands = {"parameters": count, "gradients": count, "the optimizer's state": state * count}
    text = " + ".join(f"{_bytes(size)} {name}" for name, size in summands.items())
    yield f"memory {_bytes((2 + state) * count + found.workspace)} = {text} + {_bytes(found.workspace)} workspace"


def _both_ways(p: Prepared, batch: int, item: int) -> Iterator[str]:
    """Operations and workspace with results kept and found again, where that makes a difference."""
    found = []
    for way in ("keep", "recompute"):
        _, function, sizes = main_function(with_residuals(p, way), batch)
        rows = Explanation(function, sizes, item).rows(function.plan.steps)
        found.append((sum(r.operations for r in rows), memory_of(function, sizes, item).workspace))
    if found[0] != found[1]:
        for name, (operations, size) in zip(("kept", "recomputed"), found, strict=True):
            yield f"results of rounds {name}: {operations:,} operations, workspace {_bytes(size)}"


def main_function(p: Prepared, batch: int) -> tuple[str, Function, dict[str, int]]:
    """The function that matters most, its role and all extents."""
    sizes = {**p.sizes, **({p.program.batch.name: batch} if p.program.batch else {})}
    functions = p.functions(sizes)
    role = next(role for role in (*(["product"] if p.product else []), *_NAMES) if role in functions)
    return role, functions[role], sizes


class Explanation:
    """The steps of one function at known sizes."""

    def __init__(
        self,
        function: Function,
        sizes: Mapping[str, int],
        item: int,
        comments: Comments | None = None,
        batch: Dim | None = None,
    ) -> None:
        self.function, self.sizes, self.item, self.comments = function, sizes, item, comments
        unknown = {batch.name if batch else "", function.block.batch if function.block else ""}
        self.threads = 1
        self.known = {name: n for name, n in sizes.items() if name not in unknown}  # when the code is compiled

    def lines(self, role: str, p: Prepared) -> Iterator[str]:
        """All that is printed."""
        program = p.program
        batch = f", {program.batch.name} = {self.sizes[program.batch.name]}" if program.batch else ""
        yield f"{program.name or 'model'}: {_NAMES[role]}, {p.dtype}{batch}"
        rows = list(self.rows(self.function.plan.steps))
        for row in rows:
            yield ""
            for k, text in enumerate(row.formulas):
                yield f"{row.number if k == 0 else '':>5}  {text}"
            cost = f"{row.operations:,} operations, {_bytes(row.bytes)}" if row.operations or row.bytes else ""
            yield f"{'' if row.formulas else row.number:>5}    {row.kernel}" + (f": {cost}" if cost else "")
            yield f"{'':>5}    {row.why}"
        total, products = (sum(r.operations for r in rows if one in r.kernel) for one in ("", "product"))
        share = f", {100 * products / total:.0f} % of them in matrix products" if total else ""
        yield ""
        yield f"{total:,} operations{share}"
        if self.function.serial:
            yield f"on one thread: {self.function.serial}"
        yield from self.memory()

    def rows(self, steps: Sequence[Step], prefix: str = "", times: int = 1) -> Iterator[Row]:
        """A row for each step; of a loop one for itself and one for each step of a round."""
        for k, step in enumerate(steps, 1):
            number = f"{prefix}{k}"
            if isinstance(step, Blocks):
                assert self.function.block is not None
                ways = [f"{step.threads} blocks of samples, each on a thread, from {step.least} samples on"]
                ways = ways[: step.threads - 1] + [f"some {step.samples} samples at a time"][: step.samples]
                near = "" if step.samples is None else "; what is computed from them stays in the cache"
                reason = f"no sample reads another one's results; totals are added afterwards{near}"
                yield Row(number, (), ", ".join(ways), reason, 0, 0)
                yield from self.rows(self.function.block.plan.steps, f"{number}.", times)
                self.threads = step.threads
                continue
            if isinstance(step, Rounds):
                first, last = (self.size(e) for e in step.range)
                rounds = max(last - first, 0)
                way = "backwards" if step.step < 0 else "forwards"
                yield Row(number, (), f"{rounds} rounds, {way}", "each round reads what another one wrote", 0, 0)
                inner = [s for block in step.blocks for s in block.items]
                yield from self.rows(inner, f"{number}.", times * rounds)
                continue
            kernel, why, operations, size = self.of(step)
            formulas = tuple(t.removeprefix("# ") for t in self.comments(step) if t) if self.comments else ()
            yield Row(number, formulas, kernel, why, times * operations, times * size)

    def of(self, step: Gemm | Fold | Nest | Routine) -> tuple[str, str, int, int]:
        """Kernel, reason, operations, bytes."""
        if isinstance(step, Gemm):
            return self.product(step)
        if isinstance(step, Fold):
            numbers, size = self.count(step.matrix.tensor), sum(map(self.bytes, (step.matrix.tensor, step.out.tensor)))
            what = "largest numbers" if step.op == "max" else "sums"
            return f"{what} of {'columns' if step.down else 'rows'}", "many at once in registers", numbers, size
        moved = [t for t in (*reads_of(step), *written_by(step)) if t not in scalars_of(step)]
        size = sum(self.bytes(t) for t in moved)
        if isinstance(step, Routine):
            n = max(math.isqrt(self.count(t)) for t in step.reads)
            operations = (MATRIX_FUNCTIONS[step.name].operations if step.name in MATRIX_FUNCTIONS else 1) * n**3
            return (
                f"{step.name} of a {n} × {n} matrix",
                f"a routine for whole matrices; {_FACTORED[step.kind]}",
                operations,
                size,
            )
        letters, operations, summed = self.nest(step.body)
        names = ", ".join(f"{x.extent!r}" for x in letters)
        what = "sums that are no product of two matrices" if summed else "element by element"
        found = len(parts_of(step))
        fused = f"; {found} results in one pass: no round needs what a later one makes" if found > 1 else ""
        return f"loops over {names}" if names else "numbers alone", f"{what}{fused}", operations, size

    def product(self, g: Gemm) -> tuple[str, str, int, int]:
        """A matrix product: tiles, or dot products along rows."""
        here = placed(g, every(self.function.steps), self.known)
        dots, g = along(g) and not here, as_matrices(g)
        (m, k), (_, n) = self.extents(g.left, row=True), self.extents(g.right, row=False)
        size = sum(self.bytes(t) for t in (*g.reads, g.out.tensor))
        shape = f"product {m} × {k} by {k} × {n}"
        if dots:
            return shape, "a vector: dot products along the rows as they lie", 2 * m * k * n, size
        right = self.bytes(g.right.tensor)
        if g.left.windows is not None:
            why = f"windows on {g.left.tensor.name} are read where they lie: it is compiled for them"
        elif g.right.transposed:
            why = f"{g.right.tensor.name}ᵀ is copied by strips of columns, which do not lie next to each other"
            if here:
                why = f"compiled where it stands, for its number of columns: no call; {g.right.tensor.name}ᵀ is copied"
        elif here:
            why = "compiled where it stands, for its number of columns: no call; both operands are read in place"
        elif right > (NEAR if m > 64 else FAR) and m > 16:
            where = " where registers have 32 bytes" if right <= NEAR_WIDE and m > 64 else ""
            why = f"{g.right.tensor.name} is copied by strips that stay in the cache{where}: it has {_bytes(right)}"
        else:
            why = "both operands are read in place"
        added = [w.name for w, d in self.function.gradients if d == g.out.tensor and w in self.function.descended]
        if added:
            why += f"; training adds it to {added[0]} at once, so that it is neither written nor read again"
        if self.threads > 1 and suits(g, self.sizes):
            why += f"; its rows in {self.threads} blocks, each on a thread, where samples were: nothing is added up"
        if paneled(g, self.sizes) and k * n * self.item > FIRST:
            why += f"; rows of {g.left.tensor.name}ᵀ, which lie far apart, are copied for all columns"
        if g.symmetric:
            why += "; it is symmetric: of several strips one triangle is computed and mirrored"
        if g.start:
            why += f"; sums start from {g.start.tensor.name}"
        if m > 1 and g.left.windows is None and min(m, n) <= FEW < k and not here:
            why += "; where whole registers would stay empty, sums run along the rows, or the transposed result is made"
        return shape, f"tiles of registers; {why}", 2 * m * k * n + (m * n if g.start else 0), size

    def extents(self, o: Operand, row: bool) -> tuple[int, int]:
        """Rows and columns as the product sees them."""
        sides = [math.prod(self.size(s.extent) for s in group) for group in o.groups]
        if len(sides) == 1:
            return (1, sides[0]) if row else (sides[0], 1)
        return (sides[1], sides[0]) if o.transposed else (sides[0], sides[1])

    def nest(self, body: Sequence[Node]) -> tuple[list[Letter], int, bool]:
        """The letters of the longest path of loops, the operations, and whether anything is summed."""
        longest: list[Letter] = []
        operations = 0

        def visit(node: Node, path: tuple[Letter, ...]) -> None:
            nonlocal longest, operations
            if isinstance(node, Write):
                longest = max(longest, list(path), key=len)
                if node.value is not None:
                    own = scalar_operations(node.value)
                    rounds = math.prod(self.size(x.extent) for x in path)
                    operations += rounds * (self.size(own) + (node.op is not None))
                return
            for child in node.body:
                visit(child, (*path, node.letter))

        for node in body:
            visit(node, ())
        return longest, operations, any(w.op is not None for w in writes_in(body))

    def memory(self) -> Iterator[str]:
        """What lies in the workspace from which step to which, what is computed twice, and how large all is."""
        rows = list(self.kept(self.function))
        if rows:
            yield ""
            yield "kept in the workspace"
            widths = [max(len(r[k]) for r in rows) for k in range(2)]
            yield from (f"    {a:<{widths[0]}}  {b:>{widths[1]}}  {c}" for a, b, c in rows)
        found = memory_of(self.function, self.sizes, self.item)
        full = f"; {_bytes(found.alive)} of it are in use in step {found.fullest}" if found.results else ""
        strip = f", {_bytes(found.strip)} more for copied strips" if found.strip else ""
        yield f"workspace {_bytes(found.results)}{full}{strip}"
        yield f"bound by what is alive at once: {_bytes(found.bound)}"
        again = self.again()
        yield f"recomputed: {', '.join(again)}" if again else "recomputed: nothing"

    def kept(
        self, function: Function, prefix: str = "", turn: Mapping[str, int] | None = None, times: int = 1
    ) -> Iterator[tuple[str, str, str]]:
        """The name of each tensor of the workspace, its bytes, and from which step to which.

        It is bytes of all blocks together, where they take turns those of a ``turn`` on each of so many threads.
        """
        plan = function.plan
        steps = [{*reads_of(s), *written_by(s)} for s in plan.steps]
        for t in plan.places:
            at = [k for k, found in enumerate(steps, 1) if t in found]
            if at:
                over = f", over {plan.shared[t].name}" if t in plan.shared else ""
                yield t.name, _bytes(times * self.bytes(t, turn)), f"steps {prefix}{at[0]} to {prefix}{at[-1]}{over}"
        for k, step in enumerate(plan.steps, 1):
            if isinstance(step, Blocks) and function.block is not None:
                turn = None if step.samples is None else of_a_block(step, function.block, self.sizes)
                yield from self.kept(function.block, f"{k}.", turn, 1 if turn is None else step.threads)

    def again(self) -> list[str]:
        """What is found once more in a later step, rather than kept."""
        slices = self.function.slices
        found: dict[Tensor, set[int]] = {}
        sums = {s.sums for s in self.function.steps if isinstance(s, Blocks)}
        for k, step in enumerate(self.function.steps):
            for part in parts_of(step):
                if not sums.isdisjoint(reads(part.body)):
                    continue  # a total of all blocks, where it is needed
                if part.out == part.origin.out or part.out in slices:
                    found.setdefault(slices.get(part.origin.out, part.origin.out), set()).add(k)
        return [t.name for t, at in found.items() if len(at) > 1]

    def size(self, e: Expr) -> int:
        return extent(e, self.sizes)

    def count(self, t: Tensor) -> int:
        return math.prod(self.size(a) for a in t.axes)

    def bytes(self, t: Tensor, sizes: Mapping[str, int] | None = None) -> int:
        count = self.count(t) if sizes is None else math.prod(extent(a, sizes) for a in t.axes)
        return count * (self.item if t.dtype == "real" else 8)


def _bytes(count: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
