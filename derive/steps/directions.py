"""The two directions in which a derivation is told: cotangents from the root back, tangents from a variable on.

In: a derivation. Out: its `Steps`.
"""

from __future__ import annotations

import numpy as np

from derive.expr import ONE, Compare, Expr, Letter, fresh_like
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, letters_for
from derive.rewrite import factors, substitute
from derive.steps.edges import Edge
from derive.steps.step import Ratio, Steps
from derive.steps.story import Part, Story


def steps_of(derivation: Derivation) -> Steps:
    """The steps of a derivation, in the order in which its cotangents (or tangents) become known.

    Raises StepError where a step does not hold, which is a defect of gradc.
    """
    onward = any(e.out.kind == "tangent" for e in derivation.raw.equations)
    return (_Onward if onward else _Back)(derivation).told()


class _Back(Story):
    """Cotangents: each tensor from the equations that read it."""

    def ends(self) -> list[Tensor]:
        self.seed = next(iter(self.bars.values()))
        root = self.seed.out.primal
        assert root is not None
        self.root: Tensor = root
        self.extra = self.seed.letters[: self.seed.out.rank - root.rank]
        self.known_seed = all(f == ONE or isinstance(f, Compare) for f in factors(self.seed.body))
        self.shown[self.seed.out] = self.seed
        return [root]

    def tell(self, bar: Equation) -> None:
        t = bar.out.primal
        assert t is not None
        if bar is self.seed:
            if t in self.wanted:
                self.teller.say("seed", t, (bar.left, bar.body), bar.letters)
            return
        edges = [self.graph.edge(e, t) for e in self.graph.readers(t) if e.out in self.bars]
        own = edges[0].inner if edges else letters_for(t.axes)
        letters = (*self.extra, *own)
        direct = len(edges) > 1 and any(e.out.out is self.root for e in edges)
        left = self.left(bar.out, letters, direct)
        self.chain("total derivative", bar, left, [self.part(edge, own) for edge in edges], letters)

    def left(self, bar: Tensor, letters: tuple[Letter, ...], direct: bool) -> Expr:
        """∂root/∂T, or dT where that is something else; its value is found by numbers alone.

        It is something else with a seed that is not known, or where T also acts on the root ``direct``ly.
        """
        bench, t = self.teller.bench, bar.primal
        assert t is not None
        slope = bench.partial(self.equations, self.root, t)
        self.measured(bar, np.tensordot(bench.arrays[self.seed.out], slope, self.root.rank))
        if direct or not self.known_seed:
            return bar.at(letters)
        ratio = Ratio.make(self.root, t)
        bench.arrays[ratio] = bench.arrays[bar]
        return ratio.at(letters)

    def part(self, edge: Edge, own: tuple[Letter, ...]) -> Part:
        """The contribution of one reader, over the letters of the cotangent that is told."""
        outer = tuple(fresh_like(a) for a in edge.outer)
        if edge.out.out is self.root:
            table = dict(zip(self.seed.letters[len(self.extra) :], outer, strict=True))
            upstream = substitute(self.seed.body, table)
        else:
            upstream = self.bars[edge.out.out].out.at((*self.extra, *outer))
        return Part(edge, upstream, outer, outer, own)


class _Onward(Story):
    """Tangents: each tensor from those that its equation reads."""

    def ends(self) -> list[Tensor]:
        declared = self.notation.program.declared
        self.variable, self.direction = next((t.primal, t) for t in reversed(declared) if t.primal is not None)
        return []

    def tell(self, bar: Equation) -> None:
        t, bench = bar.out.primal, self.teller.bench
        assert t is not None
        if t is self.variable:
            self.teller.say("seed", t, (bar.left, bar.body), bar.letters)
            return
        slope = bench.partial(self.equations, t, self.variable)
        self.measured(bar.out, np.tensordot(slope, bench.arrays[self.direction], self.variable.rank))
        equation = next((e for e in self.equations if e.out is t), None)
        letters = bar.letters
        if equation is not None:
            edges = [self.graph.edge(equation, s) for s in self.graph.operands(equation) if self.dot(s) is not None]
        else:
            edges = []
        parts = []
        for edge in edges:
            inner, dot = tuple(fresh_like(a) for a in edge.inner), self.dot(edge.wrt)
            assert dot is not None
            parts.append(Part(edge, dot.at(inner), inner, letters, inner))
        self.chain("total differential", bar, bar.left, parts, letters)

    def dot(self, t: Tensor) -> Tensor | None:
        """The tangent of a tensor, if the variable acts on it."""
        if t is self.variable:
            return self.direction
        return self.bars[t].out if t in self.bars else None
