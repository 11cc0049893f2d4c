"""The two directions in which a derivation is told: cotangents from the root back, tangents from a variable on.

In: a derivation. Out: its `Steps`.
"""

from __future__ import annotations

import numpy as np

from derive import forms
from derive.errors import Span
from derive.expr import ONE, ZERO, Compare, Expr, Letter, fresh_like, mul, sum_over
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, letters_for
from derive.rewrite import factors, substitute
from derive.steps.edges import Edge
from derive.steps.jacobians import matrix, written
from derive.steps.step import Ratio, Reason, Side, Steps, Written
from derive.steps.story import Part, Story


def steps_of(derivation: Derivation) -> Steps:
    """The steps of a derivation, in the order in which its cotangents (or tangents) become known.

    Raises StepError where a step does not hold, which is a defect of gradc; GradcError where there is no point to
    test them at.
    """
    return story_of(derivation).told()


def story_of(derivation: Derivation) -> Story:
    """How a derivation is told, before anything is said."""
    onward = any(e.out.kind == "tangent" for e in derivation.raw.equations)
    return (_Onward if onward else _Back)(derivation)


class _Back(Story):
    """Cotangents: each tensor from the equations that read it."""

    def ends(self) -> list[Tensor]:
        self.seed = next(iter(self.bars.values()))
        root = self.seed.out.primal
        assert root is not None
        self.root: Tensor = root
        self.extra = self.seed.letters[: self.seed.out.rank - root.rank]
        self.known_seed = all(f == ONE or isinstance(f, Compare) for f in factors(self.seed.body))
        self.fractions = self.known_seed and root is not self.objective
        if self.fractions:
            self.final, self.teller.rows, self.kept = {}, True, self.extra
        self.above: dict[Tensor, Tensor] = {}
        self.shown[self.seed.out] = self.seed
        return [root]

    def tell(self, bar: Equation) -> None:
        t = bar.out.primal
        assert t is not None
        if bar is self.seed:
            if t in self.wanted:
                rule = "no dependence" if bar.body == ZERO else "seed"
                self.teller.say(rule, t, (bar.left, bar.body), bar.letters)
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
        self.above[bar] = bar
        self.teller.printer.roots.add(self.root)
        ratio = Ratio.make(self.root, t, total=direct)
        bench.arrays[ratio] = bench.arrays[bar]
        if self.fractions:
            self.teller.printer.ratios[bar] = ratio
        if self.known_seed and (self.fractions or not direct):
            self.above[bar] = ratio
        return self.above[bar].at(letters)

    def part(self, edge: Edge, own: tuple[Letter, ...]) -> Part:
        """The contribution of one reader, over the letters of the cotangent that is told."""
        if edge.out.out is self.root and self.fractions:
            return Part(edge.over(self.extra, own), ONE, ONE, ())
        outer = tuple(fresh_like(a) for a in edge.outer)
        over = edge.over(outer, own)
        if edge.out.out is self.root:
            table = dict(zip(self.seed.letters[len(self.extra) :], outer, strict=True))
            upstream = substitute(self.seed.body, table)
            return Part(over, upstream, upstream, outer)
        bar = self.bars[edge.out.out].out
        places = (*self.extra, *outer)
        return Part(over, self.above.get(bar, bar).at(places), bar.at(places), outer)

    def meaning(self) -> tuple[Reason, ...]:
        if self.known_seed:
            return ()
        whole = sum_over(self.seed.letters, mul(self.seed.body, self.root.at(self.seed.letters)))
        return ("d is the derivative of ", whole)

    def jacobians(self, bar: Equation, parts: list[Part], letters: tuple[Letter, ...], span: Span | None) -> None:
        frame = self.frame(letters)
        if frame is None or any(p.edge.out.out is self.root or len(p.edge.outer) > 1 for p in parts):
            return
        if any(self.bars[p.edge.out.out].out not in self.shown for p in parts):
            return  # in a recurrence some are told later
        row, col = frame
        chain = [self.link(p, row, col) for p in parts]
        t = bar.out.primal
        assert t is not None
        left = forms.Leaf(row, col, (), bar.out)
        names = [names for names, _ in chain]
        total = names[0] if len(names) == 1 else forms.Sum(row, col, tuple(names))
        self.teller.say("Jacobian chain rule", t, (left, total), letters, span=span)
        found = chain[0][1] if len(chain) == 1 else _sum_of([product for _, product in chain], row, col)
        if found is not None:
            self.teller.say("product of Jacobians", t, (total, found), letters, span=span)

    def link(self, part: Part, row: Letter | None, col: Letter | None) -> tuple[forms.Form, Side | None]:
        """∂root/∂g ∂g/∂T for one g between: by name, and as what both are."""
        edge = part.edge
        between = (edge.outer or (None,))[0]
        bar = self.bars[edge.out.out].out
        known = self.shown[bar]
        table = dict(zip(known.letters, (*self.extra, *edge.outer), strict=True))
        names = forms.product(forms.Leaf(row, between, (), self.above[bar]), forms.Leaf(between, col, (), edge.ratio))
        first = matrix(self.teller, substitute(known.body, table), row, between)
        second = matrix(self.teller, edge.element, between, col)
        if isinstance(first, forms.Form) and isinstance(second, forms.Form):
            return names, forms.product(first, second)
        pair = [
            m if isinstance(m, Written) else written(self.teller, e, *places)
            for m, e, places in (
                (first, substitute(known.body, table), (row, between)),
                (second, edge.element, (between, col)),
            )
        ]
        matrices = [w.matrices[0] for w in pair if w is not None]
        return names, Written(tuple(matrices)) if len(matrices) == 2 else None

    def oriented(self, form: forms.Form, letters: tuple[Letter, ...]) -> forms.Form:
        """In numerator layout: what a vector is differentiated by counts columns."""
        if not self.fractions or len(letters) != 1 or letters[0].extent == ONE:
            return form
        column = bool(self.extra)
        return form if (form.row is not None) == column else forms.transpose(form)

    def written_out(self, equation: Equation) -> tuple[Side, Side] | None:
        if (frame := self.frame(equation.letters)) is None:
            return None
        found = written(self.teller, equation.body, *frame)
        return None if found is None else (forms.Leaf(*frame, (), equation.out), found)

    def frame(self, letters: tuple[Letter, ...]) -> tuple[Letter | None, Letter | None] | None:
        """What counts the rows and the columns of a Jacobian over some letters, if it is a matrix and no number."""
        own = letters[len(self.extra) :]
        if not self.fractions or len(self.extra) > 1 or len(own) > 1 or not letters:
            return None
        return (self.extra or (None,))[0], (own or (None,))[0]


def _sum_of(parts: list[Side | None], row: Letter | None, col: Letter | None) -> forms.Form | None:
    found = tuple(p for p in parts if isinstance(p, forms.Form))
    return forms.Sum(row, col, found) if len(found) == len(parts) else None


class _Onward(Story):
    """Tangents: each tensor from those that its equation reads."""

    def ends(self) -> list[Tensor]:
        declared = self.notation.program.declared
        self.variable, self.direction = next((t.primal, t) for t in reversed(declared) if t.primal is not None)
        self.teller.printer.last.update((self.direction, *(e.out for e in self.bars.values())))
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
            parts.append(Part(edge.over(letters, inner), dot.at(inner), dot.at(inner), inner))
        self.chain("total differential", bar, bar.left, parts, letters)

    def dot(self, t: Tensor) -> Tensor | None:
        """The tangent of a tensor, if the variable acts on it."""
        if t is self.variable:
            return self.direction
        return self.bars[t].out if t in self.bars else None
