"""The story of a gradient: for each cotangent the total derivative, the local ones, their collapse, the matrix form.

In: a derivation. Out: its `Steps`. Every side is an object of the engine (partial terms, pullbacks, normal forms,
liftings), none knows of layers; every step is evaluated before it is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from derive import forms
from derive.cost import cost
from derive.display import readable
from derive.expr import ONE, ZERO, Compare, Expr, Letter, Mask, add, fresh_like, mul, sum_over
from derive.extract import extract
from derive.facts import Facts
from derive.hoist import Namer
from derive.normal import Nothing
from derive.notation import Notation
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, letters_for, reads
from derive.rational import cancel, has_sum_below
from derive.rewrite import factors, substitute, walk
from derive.simplify import inline
from derive.steps.bench import Bench
from derive.steps.edges import Edge, Graph, collapsed
from derive.steps.local import Teller, tell_local
from derive.steps.step import Ratio, RowColumn, Steps


def steps_of(derivation: Derivation) -> Steps:
    """The steps of a derivation, in the order in which its cotangents (or tangents) become known.

    Raises StepError where a step does not hold, which is a defect of gradc.
    """
    story = _Story(derivation)
    for bar in story.bars.values():
        story.tell(bar)
    return Steps(story.teller.steps)


class _Quotients(Nothing):
    """Of all that is known of a program, only the quotients: E = P·S."""

    def __init__(self, facts: Facts) -> None:
        self.access = facts.access  # type: ignore[method-assign]


@dataclass
class _Part:
    """What one edge contributes: the factor that comes from above, and the letters that are summed."""

    edge: Edge
    upstream: Expr
    summed: tuple[Letter, ...]
    outer: tuple[Letter, ...]
    inner: tuple[Letter, ...]

    def symbol(self) -> Expr:
        return collapsed(sum_over(self.summed, mul(self.upstream, self.edge.at(self.outer, self.inner))))

    def value(self) -> Expr:
        return collapsed(sum_over(self.summed, mul(self.upstream, self.edge.value(self.outer, self.inner))))


class _Story:
    """What is told of one derivation, and the results so far."""

    def __init__(self, derivation: Derivation) -> None:
        prepared, raw = derivation.prepared, derivation.raw
        self.facts = Facts(prepared)
        given = {e.out for e in prepared.equations}
        derived = [e for e in raw.equations if e.out not in given and e.out.primal is not None]
        self.bars = {e.out.primal: e for e in derived if e.out.primal is not None}
        self.seed = derived[0]
        root = self.seed.out.primal
        assert root is not None
        self.root: Tensor = root
        self.extra = self.seed.letters[: self.seed.out.rank - root.rank]
        self.known_seed = all(f == ONE or isinstance(f, Compare) for f in factors(self.seed.body))
        self.final = derivation.formulas.defined
        self.shown: dict[Tensor, Equation] = {self.seed.out: self.seed}
        self.notation = Notation(raw)
        self.teller = Teller(Bench(derivation), self.notation, self.facts)
        kept = [root, *(v for v, _ in raw.gradients), *(p for p, e in self.bars.items() if e.out in self.final)]
        namer = Namer(raw)
        for e in raw.equations:
            namer.remember(e)
        self.graph = Graph(prepared, kept, namer, self.teller.short, self.teller.expanded)
        self.equations = prepared.equations

    def tell(self, bar: Equation) -> None:
        """The steps of one cotangent."""
        t = bar.out.primal
        assert t is not None
        if bar is self.seed or t in self.graph.hidden:
            return
        edges = [self.graph.edge(e, t) for e in self.graph.readers(t) if e.out in self.bars]
        own = edges[0].inner if edges else letters_for(t.axes)
        letters = (*self.extra, *own)
        left = self.left(bar.out, letters, direct=len(edges) > 1 and any(e.out.out is self.root for e in edges))
        if not edges:
            self.teller.say("no dependence", t, (left, ZERO), letters)
            self.shown[bar.out] = Equation(bar.out, letters, ZERO)
            return
        for edge in edges:
            self.teller.bench.measure(edge)
        parts = [self.part(edge, own) for edge in edges]
        total = add(*(p.symbol() for p in parts))
        self.teller.say("total derivative", t, (left, total), letters)
        for edge in edges:
            tell_local(self.teller, edge, t)
        body = add(*(p.value() for p in parts))
        self.teller.say("collapse", t, (left, body), letters)
        self.finish(bar, body, letters)

    def left(self, bar: Tensor, letters: tuple[Letter, ...], direct: bool) -> Expr:
        """∂root/∂T, or dT where that is something else; its value is found by numbers alone.

        It is something else with a seed that is not known, or where T also acts on the root ``direct``ly.
        """
        bench, t = self.teller.bench, bar.primal
        assert t is not None
        slope = bench.partial(self.equations, self.root, t)
        value = np.tensordot(bench.arrays[self.seed.out], slope, self.root.rank)
        bench.arrays[bar] = value
        if direct or not self.known_seed:
            return bar.at(letters)
        ratio = Ratio.make(self.root, t)
        bench.arrays[ratio] = value
        return ratio.at(letters)

    def part(self, edge: Edge, own: tuple[Letter, ...]) -> _Part:
        """The contribution of one edge, over the letters of the cotangent that is told."""
        outer = tuple(fresh_like(a) for a in edge.outer)
        if edge.out.out is self.root:
            table = dict(zip(self.seed.letters[len(self.extra) :], outer, strict=True))
            upstream = substitute(self.seed.body, table)
        else:
            upstream = self.bars[edge.out.out].out.at((*self.extra, *outer))
        return _Part(edge, upstream, outer, outer, own)

    def finish(self, bar: Equation, body: Expr, letters: tuple[Letter, ...]) -> None:
        """From the collapsed sum to the shortest form and the matrix form."""
        t, say, out = bar.out.primal, self.teller.say, bar.out
        assert t is not None
        inlined = [d for d in reads(body) if d in self.shown and d not in self.final]
        opened = body
        for d in inlined:
            opened = inline(opened, self.shown[d])
        if inlined:
            note = ", ".join(self.notation.names[d] for d in inlined) + " written out"
            say("substitute", t, (body, opened), letters, note=note)
        final = self.result(out, opened, letters)
        plain = self.teller.short(opened, _Quotients(self.facts))
        self.facts.fired.clear()
        self.teller.short(opened)
        why = [name for name in sorted(Counter(self.facts.fired)) if name.startswith("Σ")]
        if why:
            say("collect", t, (opened, plain), letters)
            say("known sums", t, (plain, final), letters, note="because " + "; ".join(why))
        else:
            say("algebra", t, (opened, final), letters)
        equation = readable(Equation(out, letters, final), self.notation.program)
        self.shown[out] = Equation(out, letters, final)
        form = self.notation.form(equation)
        if form is None or not out.rank:
            say("result", t, (out.at(letters), final), letters, note=self.teller.explained(equation))
            return
        if isinstance(form, forms.Product) and form.row and form.col and len(form.parts) == 2 and form.parts[0].col:
            say("rows and columns", t, (final, RowColumn(form)), letters)
        leaf = forms.Leaf(form.row, form.col, (), out)
        say("matrix form", t, (leaf, form), letters, note=self.teller.explained(equation))

    def result(self, out: Tensor, body: Expr, letters: tuple[Letter, ...]) -> Expr:
        """The simplified program's equation where it has one, else the shortest form, over one fraction line."""
        if out in self.final:
            equation = self.final[out]
            return substitute(equation.body, dict(zip(equation.letters, letters, strict=True)))
        expanded = self.teller.expanded(body, self.facts)
        candidates = [self.teller.short(body), body]
        if has_sum_below(expanded) and not any(isinstance(n, Mask) for n in walk(expanded)):
            candidates.insert(0, extract(cancel(expanded)))
        return next(c for c in candidates if cost(c) <= cost(body))
