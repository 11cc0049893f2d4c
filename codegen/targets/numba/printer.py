"""Numba kernels as text: explicit loops over scalar statements, matrix products into given memory.

In: a plan and the names of its tensors. Out: the lines of a function body. Every constant has the
module's precision, because Numba promotes float32 with a Python float to float64. Only a sum that gathers in a
local variable is a double in a float32 module too: it costs nothing there and keeps the digits of long sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from codegen.common import ELEMENTARY, repeated
from codegen.descent import suits
from codegen.fission import LONG
from codegen.kernels import along, as_matrices, placed, windows_of
from codegen.layout import LANES as CHANNELS
from codegen.naming import Names
from codegen.plan import Plan
from codegen.steps import (
    Blocks,
    Fold,
    Gemm,
    Loop,
    Nest,
    Node,
    Operand,
    Rounded,
    Rounds,
    Routine,
    Step,
    Write,
    every,
    touches,
    writes_in,
)
from codegen.targets.scalar import SUM, ScalarPrinter
from derive.expr import ONE, Access, Expr, Letter, mul, split_coefficient
from derive.program import Tensor
from derive.shapes import size

_LIBRARY = ("sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "erf", "sqrt")
FUNCTIONS = {name: f"math.{name}" for name in _LIBRARY} | {name: f"_{name}" for name in ELEMENTARY}
_COMBINE = {"sum": "+", "prod": "*"}


class NumbaPrinter(ScalarPrinter):
    """Prints the steps of one function."""

    functions = FUNCTIONS

    def __init__(self, names: Names, extents: dict[str, str], dtype: str, sizes: Mapping[str, int]) -> None:
        super().__init__(extents)
        self.names, self.dtype, self.sizes = names, dtype, sizes
        self.scalars: set[Tensor] = set()
        self.wide: set[Tensor] = set()
        self.strided: set[Tensor] = set()
        self.best: dict[Tensor, str] = {}
        self.strip = names.fresh("strip")
        self.products: list[Gemm] = []
        self.among: tuple[Step, ...] = ()  # the steps of the function
        self.rates: dict[Tensor, str] = {}  # of results that may be added to what is there, times what
        self.blocks: Callable[[Blocks], Iterator[str]] = lambda _: iter(())
        self.threads: str | None = None  # how many there are for large products from here on

    def number(self, value: Fraction) -> str:
        return self.converted(repr(float(value)))

    def converted(self, text: str) -> str:
        return f"real({text})" if self.dtype == "float32" else text

    def access(self, e: Access) -> str:
        name = self.names.tensor(e.tensor)
        if e.tensor in self.wide:
            return self.converted(name)
        if e.tensor in self.scalars or not e.places:
            return name
        return f"{name}[{', '.join(self.integer(p) for p in e.places)}]"

    def steps(self, plan: Plan, comment: Callable[[Step], list[str]]) -> Iterator[str]:
        """The statements of all steps, each group under its comment."""
        self.among = tuple(every(plan.steps))
        for step in plan.steps:
            yield from self.step(step, comment)

    def step(self, step: Step, comment: Callable[[Step], list[str]]) -> Iterator[str]:
        """The statements of one step."""
        if isinstance(step, Rounds):
            yield from self.rounds(step, comment)
            return
        if isinstance(step, Blocks):
            yield from self.blocks(step)
            return
        yield from comment(step)
        if isinstance(step, Gemm):
            yield self.product(step)
        elif isinstance(step, Fold):
            name = "_column_sums" if step.down else "_row_sums" if step.op == "sum" else "_row_maxima"
            yield f"{name}({self.operand(step.matrix)}, {self.operand(step.out)})"
        elif isinstance(step, Routine):
            yield from self.routine(step)
        else:
            yield from self.nest(step)

    def rounds(self, step: Rounds, comment: Callable[[Step], list[str]]) -> Iterator[str]:
        """The loop of a recurrence."""
        self.strided |= {v.tensor for b in step.blocks for v in b.views if v.axis or v.source in self.strided}
        for block in step.before:
            yield from self.block(block, comment)
        name = self.names.loop(step.letter.hint)
        self.letters[step.letter] = name
        yield ""
        yield f"for {name} in {self.counted(step)}:"
        for block in step.rounds:
            for line in self.block(block, comment):
                yield f"    {line}" if line else ""
        self.names.release(name)
        self.strided |= {v.tensor for v in step.after if v.axis}
        for view in step.after:
            yield f"{self.names.tensor(view.tensor)} = {self.names.tensor(view.source)}{self.cut(view)}"

    def block(self, block: Rounded, comment: Callable[[Step], list[str]]) -> Iterator[str]:
        """What happens in a round, where its condition holds."""
        indent = ""
        if block.condition != ONE:
            yield f"if {self.condition(block.condition)}:"
            indent = "    "
        for view in block.views:
            yield f"{indent}{self.names.tensor(view.tensor)} = {self.names.tensor(view.source)}{self.cut(view)}"
        for inner in block.items:
            for line in self.step(inner, comment):
                yield f"{indent}{line}" if line else ""

    def nest(self, nest: Nest) -> Iterator[str]:
        """The loops of one nest."""
        self.scalars = set(nest.scalars)
        sums = (w.target.tensor for w in writes_in(nest.body) if w.op == "sum" and self.dtype == "float32")
        self.wide.update(t for t in sums if t in self.scalars)
        for flat, whole in nest.flat:
            yield f"{self.names.tensor(flat)} = _numbers({self.names.tensor(whole)})"
        for node in nest.body:
            yield from self.node(node, "")

    def view(self, array: str, start: str, axes: Sequence[Expr]) -> str:
        """An array of these extents in the memory of another one that lies in one piece."""
        extents = ", ".join(self.integer(a) for a in axes)
        return f"_view({array}, {start}, ({extents}{',' if len(axes) == 1 else ''}))"

    def node(self, node: Node, indent: str) -> Iterator[str]:
        """One loop or one statement."""
        if isinstance(node, Write):
            yield from (indent + line for line in self.write(node))
            return
        name = self.names.loop(node.letter.hint)
        self.letters[node.letter] = name
        rounds = self.integer(node.letter.extent)
        yield f"{indent}for {name} in range({f'_uncounted({rounds})' if self.uncounted(node) else rounds}):"
        for child in node.body:
            yield from self.node(child, indent + "    ")
        self.names.release(name)

    def uncounted(self, loop: Loop) -> bool:
        """Whether a loop is over channels with all elements of a window in its body: unrolled it is no vector code."""
        rounds = size(loop.letter.extent, self.sizes)
        if rounds is None or not CHANNELS <= rounds < LONG or not all(isinstance(n, Write) for n in loop.body):
            return False
        found = {t.access for t in touches((loop,)) if loop.letter in t.access.letters}
        beside = {(a.tensor, a.letters) for a in found}
        return len(beside) < len(found) and all(a.places[-1] == loop.letter for a in found)

    def write(self, w: Write) -> list[str]:
        """One statement, after what it uses more than once."""
        lines: list[str] = []
        if w.value is not None and w.target.tensor.dtype == "real":
            for e in repeated(w.value):
                name = self.names.fresh("u")
                lines.append(f"{name} = {self.real(e)}")
                self.known[e] = name
        lines += self.statement(w)
        if w.where != ONE:
            lines = [f"if {self.condition(w.where)}:", *(f"    {line}" for line in lines)]
        for name in self.known.values():
            self.names.release(name)
        self.known.clear()
        return lines

    def statement(self, w: Write) -> list[str]:
        """One statement alone."""
        wide = w.target.tensor in self.wide
        target = self.names.tensor(w.target.tensor) if wide else self.access(w.target)
        if w.op is None:
            assert w.value is not None
            integer = w.target.tensor.dtype == "int"
            return [f"{target} = {self.integer(w.value) if integer else self.real(w.value)}"]
        if w.op.startswith("arg"):
            return self.position(w, target)
        if w.value is None:
            start = {"sum": "0.0", "prod": "1.0", "max": "-math.inf", "min": "math.inf"}[w.op]
            return [f"{target} = {start if wide else self.converted(start)}"]
        if w.op == "sum" and split_coefficient(w.value)[0] < 0:
            return [f"{target} -= {self.real(mul(-1, w.value))}"]
        if w.op in _COMBINE:
            return [f"{target} {_COMBINE[w.op]}= {self.real(w.value)}"]
        return [f"{target} = {w.op}({target}, {self.real(w.value)})"]

    def position(self, w: Write, target: str) -> list[str]:
        """The first position of the largest (smallest) element so far."""
        largest = w.op == "argmax"
        if w.value is None:
            best = self.best[w.target.tensor] = self.names.fresh(f"best_{self.names.tensor(w.target.tensor)}")
            return [f"{target} = 0", f"{best} = {self.converted('-math.inf' if largest else 'math.inf')}"]
        best = self.best[w.target.tensor]
        assert w.position is not None
        return [
            f"if {self.real(w.value, SUM)} {'>' if largest else '<'} {best}:",
            f"    {best} = {self.real(w.value)}",
            f"    {target} = {self.integer(w.position)}",
        ]

    def routine(self, r: Routine) -> Iterator[str]:
        """The call of a routine for a whole matrix; a number is what it returns."""
        given = [self.column(t) for t in (*r.ins, *(t for t in r.outs if isinstance(t, Operand) or t.rank))]
        out = r.outs[0]
        if r.name == "inverse" or r.name.startswith("solve"):
            way = 4 if r.name == "inverse" else 3 - r.transposed if r.name == "solve_right" else int(r.transposed)
            given[2:] = given[2:] * (2 if r.name == "inverse" else 1)
            yield f"_solve({', '.join(given)}, np.int64({way}))"
        elif r.kind == "symmetric":
            yield f"if not _upper({', '.join(given)}):"
            yield f"    _factor({', '.join(given)})"
        else:
            text = f"_{r.name}{'' if r.kind == 'general' else f'_{r.kind}'}({', '.join(given)})"
            yield text if isinstance(out, Operand) or out.rank else f"{self.names.tensor(out)} = {text}"

    def column(self, t: Tensor | Operand) -> str:
        """A matrix, or a vector as a matrix of one column."""
        if not isinstance(t, Operand):
            return self.names.tensor(t)
        text = self.operand(t, packed=True) if len(t.groups) == 2 else f"{self.operand(t)}.reshape((-1, 1))"
        return f"np.ascontiguousarray({text})" if t.transposed and len(t.groups) == 2 else text

    def product(self, g: Gemm) -> str:
        """A product into the memory of the result; of a matrix and a vector, as the matrix lies in memory."""
        if g.left.windows is not None:
            given = [self.operand(o) for o in (g.right, g.start, g.out) if o is not None]
            return f"{windows_of(g, self.sizes).name}({', '.join([self.names.tensor(g.left.tensor), *given])})"
        compiled_here = placed(g, self.among, self.sizes) and not self.strided.intersection(g.reads)
        if along(g) and not compiled_here:
            vector, matrix = (g.left, g.right) if len(g.left.groups) == 1 else (g.right, g.left)
            lying = replace(matrix, transposed=False)
            return f"_matvec({self.operand(lying, packed=True)}, {self.operand(vector)}, {self.operand(g.out)})"
        self.products.append(g)
        g = as_matrices(g)
        name = "_matmul_symmetric" if g.symmetric else "_matmul_plus" if g.start else "_matmul"
        given = [self.operand(o) for o in (g.left, g.right, g.start, g.out) if o is not None]
        rate = self.rates.get(g.out.tensor)
        if self.threads is not None and suits(g, self.sizes):
            more = [rate or self.converted("0.0"), self.strip]
            return f"_matmul_in_blocks({', '.join([self.threads, *given, *more])})"
        if rate is not None:
            return f"_matmul_onto({', '.join(given)}, {rate}, {self.strip})"
        if compiled_here:
            counts = ", ".join(self.count(letters) for letters in g.counted)
            return f"_matmul_fixed{'_plus' if g.start else ''}({counts}, {', '.join(given)}, {self.strip})"
        return f"{name}({', '.join(given)}, {self.strip})"

    def count(self, letters: tuple[Letter, ...]) -> str:
        """How many elements a group of axes counts, as a constant where it is one."""
        text, known = self.extent(letters), size(mul(*(s.extent for s in letters)), self.sizes)
        return text if known is None or text.isidentifier() else str(known)

    def extent(self, letters: tuple[Letter, ...]) -> str:
        """How many elements a group of axes counts."""
        return self.integer(mul(*(s.extent for s in letters)))

    def operand(self, o: Operand, packed: bool = False) -> str:
        """A matrix or vector: the array, its axes grouped, transposed as needed; ``packed`` in one piece."""
        text = self.names.tensor(o.tensor)
        grouped = len(o.groups) != o.tensor.rank or any(len(g) != 1 for g in o.groups)
        if o.tensor in self.strided and (grouped or packed or len(o.groups) == 1):
            text = f"np.ascontiguousarray({text})"
            if grouped:  # a copy has nothing else that keeps it, so that it must not be seen by a view
                shape = ", ".join(self.extent(g) for g in o.groups)
                text = f"{text}.reshape(({shape}{',' if len(o.groups) == 1 else ''}))"
        elif grouped:
            text = self.view(text, "0", [mul(*(s.extent for s in g)) for g in o.groups])
        return f"{text}.T" if o.transposed and len(o.groups) == 2 else text
